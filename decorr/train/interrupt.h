#pragma once

#include <csignal>
#include <thread>

namespace decorr::train {

/// While it lives, the first SIGINT or SIGTERM only sets a flag, so that work can be brought to a
/// safe end; the second one ends the process as usual. One object at a time.
///
/// Signals are taken by a thread of their own: matrix kernels may point the stack pointer into a
/// buffer, where a signal handler would write over the heap. Threads inherit what they block, so
/// build the guard before the threads that compute.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether a signal has come.
  bool requested() const;

 private:
  sigset_t mask_before_;
  std::thread watcher_;
};

}  // namespace decorr::train
