#include "decorr/data/fetch/output_file.h"

#include "decorr/core/check.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace decorr::data {
namespace {

[[noreturn]] void fail_at(const std::filesystem::path& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  throw std::runtime_error(fmt::format(
      "[fetch] cannot write {}: {}; {} or give another folder with --to", path.string(),
      std::strerror(error), full ? "free space" : "check the folder and its permissions"));
}

// EINVAL: a file system that does not flush folders.
void flush(const std::filesystem::path& folder, int (*call)(int)) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_at(folder, errno);
  const int error = call(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (error != 0 && error != EINVAL) fail_at(folder, error);
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path, Mode mode) : path_(std::move(path)) {
  const int how = mode == Mode::kNew ? O_EXCL : O_APPEND | O_NOFOLLOW;
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, 0666);
  if (descriptor_ < 0) fail_at(path_, errno);
}

OutputFile::~OutputFile() { ::close(descriptor_); }

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) fail_at(path_, errno);
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void OutputFile::sync() {
  if (::fsync(descriptor_) != 0) fail_at(path_, errno);
}

void sync_file_system(const std::filesystem::path& folder) { flush(folder, ::syncfs); }

void sync_folder(const std::filesystem::path& folder) { flush(folder, ::fsync); }

}  // namespace decorr::data
