#include "decorr/io/folder_lock.h"

#include "decorr/core/check.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace decorr::io {
namespace {

// Whether the file system, as some over a network do, has no locks at all.
bool has_no_locks(int error) { return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP; }

}  // namespace

FolderLock::~FolderLock() {
  if (file_ >= 0) close(file_);
}

bool FolderLock::take(const std::filesystem::path& folder) {
  const std::string lock = (folder / kName).string();
  file_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check_runtime(file_ >= 0, "cannot create a file, {}, {}", lock, std::strerror(errno));
  // held() has the lock for an instant: that is no reason to give up.
  constexpr int kTries = 10;
  constexpr auto kPause = std::chrono::milliseconds(20);
  for (int i = 0; i < kTries; ++i) {
    if (flock(file_, LOCK_EX | LOCK_NB) == 0 || has_no_locks(errno)) return true;
    check_runtime(errno == EWOULDBLOCK || errno == EINTR,
                  "cannot lock the folder, {}, {}: check the disk or choose another --out", lock,
                  std::strerror(errno));
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

bool FolderLock::held(const std::filesystem::path& folder) {
  const int file = ::open((folder / kName).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool used = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(file);
  return used;
}

}  // namespace decorr::io
