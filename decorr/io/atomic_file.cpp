#include "decorr/io/atomic_file.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace decorr::io {
namespace {

namespace fs = std::filesystem;

// Calls a system call again for as long as a signal interrupts it.
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(-1); }

  int get() const { return fd_; }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

const char* how_to_mend(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "free space or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "change the permissions or choose another folder";
    case ENOENT:
    case ENOTDIR:
      return "create the folder or correct the path";
    case ENAMETOOLONG:
      return "choose a shorter name";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n)";
    default:
      return "check the disk or choose another folder";
  }
}

[[noreturn]] void fail_to_write(const fs::path& path, int error) {
  throw std::runtime_error(fmt::format("cannot write {}: {}; {}", path.string(),
                                       std::generic_category().message(error), how_to_mend(error)));
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A file in the making. It is locked while it is open, so that remove_temporaries() can tell it
// from what a killed process left, and gone after destruction unless it was published.
class Temporary {
 public:
  explicit Temporary(fs::path target) : target_(std::move(target)), file_(-1), folder_(-1) {
    struct stat status {};
    const bool exists = ::stat(target_.c_str(), &status) == 0;
    check_runtime(!exists || S_ISREG(status.st_mode),
                  "cannot write {}: it exists and is not a regular file; choose another name",
                  target_.string());
    const auto folder_path = folder_of(target_);
    folder_.reset(
        retry([&] { return ::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (folder_.get() < 0) fail_to_write(target_, errno);
    while (!create()) continue;
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (!published_) ::unlink(path_.c_str());
  }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto written = retry([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
      if (written < 0) fail_to_write(target_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void publish() {
    if (retry([&] { return ::fsync(file_.get()); }) != 0) fail_to_write(target_, errno);
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail_to_write(target_, errno);
    published_ = true;
    // EINVAL: a file system that does not flush folders.
    if (retry([&] { return ::fsync(folder_.get()); }) != 0 && errno != EINVAL)
      fail_to_write(target_, errno);
  }

 private:
  // Tries the next free name; false if it was taken, or swept away before the lock was ours.
  bool create() {
    static std::atomic<unsigned> counter{0};
    path_ = target_;
    path_ += fmt::format(".{}-{}{}", ::getpid(), counter++, kTemporarySuffix);
    file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file_.get() < 0) {
      if (errno == EEXIST || errno == EINTR) return false;
      fail_to_write(target_, errno);
    }
    // Where the file system has no locks, remove_temporaries() finds none to take and removes
    // nothing.
    retry([&] { return ::flock(file_.get(), LOCK_EX); });
    struct stat status {};
    return ::fstat(file_.get(), &status) == 0 && status.st_nlink > 0;
  }

  fs::path target_;
  fs::path path_;
  Descriptor file_;
  Descriptor folder_;
  bool published_ = false;
};

bool is_temporary(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.size() > kTemporarySuffix.size() &&
         name.compare(name.size() - kTemporarySuffix.size(), std::string::npos, kTemporarySuffix) ==
             0;
}

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view contents) {
  write_file_atomically(path, [&](const AppendBytes& append) { append(contents); });
}

void write_file_atomically(const fs::path& path,
                           const std::function<void(const AppendBytes& append)>& produce) {
  Temporary temporary(path);
  produce([&](std::string_view bytes) { temporary.append(bytes); });
  temporary.publish();
}

std::size_t remove_temporaries(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error) && !error) return 0;
  fs::directory_iterator entry(folder, error);
  std::size_t removed = 0;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    if (!is_temporary(path)) continue;
    const Descriptor file(
        retry([&] { return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC); }));
    if (file.get() < 0 || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (::unlink(path.c_str()) == 0) {
      ++removed;
    } else if (errno != ENOENT) {
      throw std::runtime_error(fmt::format("cannot remove the leftover {}: {}; remove it by hand",
                                           path.string(), std::generic_category().message(errno)));
    }
  }
  check_runtime(!error, "cannot read the folder {}: {}; check its permissions", folder.string(),
                error.message());
  return removed;
}

std::string read_file(const fs::path& path) {
  const auto fail = [&] {
    const int error = errno;
    throw std::runtime_error(fmt::format("cannot read {}: {}; check the path and its permissions",
                                         path.string(), std::generic_category().message(error)));
  };
  const Descriptor file(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) fail();

  constexpr std::size_t kStep = 1 << 16;
  // A byte more than the size, so that the end is seen without growing.
  std::string contents(static_cast<std::size_t>(status.st_size) + 1, '\0');
  std::size_t used = 0;
  while (true) {
    if (used == contents.size()) contents.resize(used + std::max(kStep, used / 2));
    const auto got =
        retry([&] { return ::read(file.get(), contents.data() + used, contents.size() - used); });
    if (got < 0) fail();
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  contents.resize(used);
  return contents;
}

}  // namespace decorr::io
