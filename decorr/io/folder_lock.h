#pragma once

#include <filesystem>

namespace decorr::io {

/// An exclusive lock on a folder, by the file `lock` in it. It ends with the object or the process,
/// however that ends; programs started meanwhile do not have it. Where the file system has no
/// locks, nobody is kept out, and no folder counts as locked.
class FolderLock {
 public:
  /// Name of the file in a locked folder; it stays when the lock has ended.
  static constexpr const char* kName = "lock";

  FolderLock() = default;
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Locks `folder`, which exists; false if another process or object has it. Throws
  /// `std::runtime_error` if the lock file cannot be made or locked for any other reason.
  bool take(const std::filesystem::path& folder);

  /// Whether `folder` is locked now.
  static bool held(const std::filesystem::path& folder);

 private:
  int file_ = -1;
};

}  // namespace decorr::io
