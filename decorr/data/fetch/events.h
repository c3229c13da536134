#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace decorr::data {

/// What was fetched is not what it should be: a wrong checksum, a damaged or unsafe archive.
/// Failures of the network and the disk are plain `std::runtime_error`.
class BadContent : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Fetching ended early because FetchEvents::should_stop asked for it.
class FetchStopped : public std::runtime_error {
 public:
  FetchStopped() : std::runtime_error("[fetch] stopped; the next call goes on from here") {}
};

/// How fetching talks to its caller. Any of the functions may be left empty.
struct FetchEvents {
  /// `done` of `total` bytes of `task` (e.g. `cifar-10-binary.tar.gz`); `total` 0: not known.
  std::function<void(const std::string& task, std::uint64_t done, std::uint64_t total)> on_progress;
  /// A line that the user should see.
  std::function<void(const std::string& text)> on_message;
  /// Whether to stop; asked at least once a second.
  std::function<bool()> should_stop;

  /// Calls on_progress, then throws FetchStopped if should_stop says so.
  void progress(const std::string& task, std::uint64_t done, std::uint64_t total) const {
    if (on_progress) on_progress(task, done, total);
    check_stop();
  }
  void message(const std::string& text) const {
    if (on_message) on_message(text);
  }
  bool stopping() const { return should_stop && should_stop(); }
  /// Throws FetchStopped if should_stop says so.
  void check_stop() const {
    if (stopping()) throw FetchStopped();
  }
};

}  // namespace decorr::data
