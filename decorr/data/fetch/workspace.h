#pragma once

#include <filesystem>

namespace decorr::data {

/// The folder `TARGET.part` beside a data set's folder, where it is made by one process at a time.
///
/// `downloads()` outlasts a failure or a kill, so that the next call goes on with what is in it;
/// all else is gone at the end, and the folder itself too if there are no downloads.
class Workspace {
 public:
  /// Makes the folder and locks it. Throws `std::runtime_error` if another process has it or it
  /// cannot be made.
  explicit Workspace(const std::filesystem::path& target);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  /// Files that are kept until the data set is there.
  std::filesystem::path downloads() const { return folder_ / "downloads"; }
  /// The data set's folder in the making, empty at first.
  std::filesystem::path result() const { return folder_ / "result"; }
  /// For intermediate files, empty at first.
  std::filesystem::path scratch() const { return folder_ / "scratch"; }

  /// Flushes `result()` and renames it to the target: from then on the data set is there, whole.
  void publish();

 private:
  // A file descriptor that is closed at the end.
  class Descriptor {
   public:
    Descriptor() = default;
    ~Descriptor() { reset(-1); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return value_; }
    void reset(int value);

   private:
    int value_ = -1;
  };

  void lock();

  std::filesystem::path target_, folder_;
  Descriptor lock_;
};

}  // namespace decorr::data
