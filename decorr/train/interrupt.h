#pragma once

namespace decorr::train {

/// While it lives, the first SIGINT or SIGTERM only sets a flag, so that work can be brought to a
/// safe end; the second one ends the process as usual. One object at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether a signal has come.
  bool requested() const;
};

}  // namespace decorr::train
