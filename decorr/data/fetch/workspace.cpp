#include "decorr/data/fetch/workspace.h"

#include "decorr/core/check.h"
#include "decorr/data/fetch/output_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = "lock";

}  // namespace

Workspace::Workspace(const fs::path& target) : target_(target), folder_(target) {
  folder_ += ".part";
  lock();
  for (const fs::path& left_by_a_kill : {result(), scratch()}) fs::remove_all(left_by_a_kill);
  for (const fs::path& part : {downloads(), result(), scratch()}) fs::create_directory(part);
}

Workspace::~Workspace() {
  std::error_code ignored;
  fs::remove_all(result(), ignored);
  fs::remove_all(scratch(), ignored);
  // Fails if there is something in it.
  if (fs::remove(downloads(), ignored)) {
    fs::remove(folder_ / kLock, ignored);
    fs::remove(folder_, ignored);
  }
}

void Workspace::Descriptor::reset(int value) {
  if (value_ >= 0) ::close(value_);
  value_ = value;
}

// Not an io::FolderLock: that one's file stays, while this one goes with its folder.
void Workspace::lock() {
  for (;;) {
    std::error_code error, ignored;
    fs::create_directories(folder_, error);
    const fs::file_status status = fs::symlink_status(folder_, ignored);
    // Its last user has just removed the folder.
    if (status.type() == fs::file_type::not_found && (!error || error == std::errc::file_exists))
      continue;
    check_runtime(fs::is_directory(folder_, ignored),
                  "[fetch] cannot make the folder {}: {}; check its permissions or give another "
                  "folder with --to",
                  folder_.string(), error ? error.message() : "something else has its name");
    lock_.reset(::open((folder_ / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (lock_.get() < 0 && errno == ENOENT) continue;  // removed only now
    check_runtime(lock_.get() >= 0,
                  "[fetch] cannot write in {}: {}; check its permissions or give another folder "
                  "with --to",
                  folder_.string(), std::strerror(errno));
    const int code = ::flock(lock_.get(), LOCK_EX | LOCK_NB);
    const int reason = errno;
    struct stat file {};
    if (code == 0 && ::fstat(lock_.get(), &file) == 0 && file.st_nlink > 0) return;
    check_runtime(code == 0 || reason != EWOULDBLOCK,
                  "[fetch] another process is fetching into {}; wait for its end",
                  target_.string());
    check_runtime(code == 0, "[fetch] cannot lock {}: {}; give a folder on another disk with --to",
                  (folder_ / kLock).string(), std::strerror(reason));
  }
}

void Workspace::publish() {
  // One flush for all files: a data set may have more than a hundred thousand.
  sync_file_system(result());
  std::error_code error;
  fs::rename(result(), target_, error);
  check_runtime(!error, "[fetch] cannot give {} its name: {}; remove what is there",
                target_.string(), error.message());
  sync_folder(target_.parent_path());
  fs::remove_all(downloads(), error);
  fs::create_directory(downloads(), error);
}

}  // namespace decorr::data
