#include "decorr/train/interrupt.h"

#include <atomic>
#include <pthread.h>

namespace decorr::train {
namespace {

std::atomic<bool> signal_came{false};

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

// Ends the watching thread.
int farewell() { return SIGRTMIN; }

// Waits for a signal of `set` and returns it.
int wait_for(const sigset_t& set) {
  int signal = 0;
  sigwait(&set, &signal);
  return signal;
}

void watch() {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, farewell());
  sigset_t any = interrupts();
  sigaddset(&any, farewell());
  if (wait_for(any) == farewell()) return;
  signal_came = true;
  // The next one finds its default action, here if nowhere else.
  const sigset_t set = interrupts();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  wait_for(end);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  signal_came = false;
  sigset_t blocked = interrupts();
  sigaddset(&blocked, farewell());
  pthread_sigmask(SIG_BLOCK, &blocked, &mask_before_);
  watcher_ = std::thread(watch);
}

InterruptGuard::~InterruptGuard() {
  pthread_kill(watcher_.native_handle(), farewell());
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool InterruptGuard::requested() const { return signal_came; }

}  // namespace decorr::train
