#include "decorr/train/interrupt.h"

#include <csignal>

namespace decorr::train {
namespace {

volatile std::sig_atomic_t requested_signal = 0;

void on_signal(int signal) { requested_signal = signal; }

}  // namespace

InterruptGuard::InterruptGuard() {
  requested_signal = 0;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  // SA_RESETHAND: the second signal finds the default action. SA_RESTART: no I/O fails half-way.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool InterruptGuard::requested() const { return requested_signal != 0; }

}  // namespace decorr::train
