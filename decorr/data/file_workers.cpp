#include "decorr/data/file_workers.h"

#include "decorr/core/check.h"
#include "decorr/core/threads.h"
#include "decorr/data/image_tree.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace decorr::data {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kLong{1};

// Work that threads share: whoever is free takes the next number, so that all numbers below one
// that failed have been tried.
class SharedWork {
 public:
  SharedWork(std::size_t count, const std::function<void(std::size_t)>& work)
      : count_(count), work_(work) {}

  void run() {
    set_threads(1);
    for (std::size_t i = next_++; i < count_; i = next_++) {
      try {
        work_(i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (i < failed_) {
          failed_ = i;
          error_ = std::current_exception();
        }
        stop();
      }
      ++done_;
    }
    const std::lock_guard lock(mutex_);
    ++finished_;
    news_.notify_all();
  }

  // Waits for `threads` calls of run() to return; `look` is called now and then.
  template <typename Look>
  void wait(std::size_t threads, const Look& look) {
    std::unique_lock lock(mutex_);
    while (!news_.wait_for(lock, kRedraw, [&] { return finished_ == threads; })) look(done_.load());
  }

  // Lets no further call begin.
  void stop() { next_ = count_; }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const std::size_t count_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::mutex mutex_;  // guards the rest
  std::condition_variable news_;
  std::size_t finished_ = 0;
  std::size_t failed_ = static_cast<std::size_t>(-1);
  std::exception_ptr error_;
};

}  // namespace

void for_each_file(const std::string& what, std::size_t count,
                   const std::function<void(std::size_t)>& work,
                   const std::function<bool()>& should_stop) {
  if (should_stop && should_stop()) throw LoadStopped();
  SharedWork shared(count, work);
  const auto processors = static_cast<std::size_t>(available_processors());
  std::vector<std::thread> threads;
  try {
    for (std::size_t i = 0; i < std::min(count, processors); ++i)
      threads.emplace_back([&] { shared.run(); });
  } catch (const std::system_error& error) {
    // Those that there are do it too.
    check_runtime(
        !threads.empty(),
        "[data] cannot start a thread for {}: {}; raise the limit of processes (ulimit -u)", what,
        error.what());
  }
  const auto start = std::chrono::steady_clock::now();
  const bool terminal = isatty(STDERR_FILENO) == 1;
  bool drawn = false, stopped = false;
  shared.wait(threads.size(), [&](std::size_t done) {
    if (should_stop && should_stop()) {
      stopped = true;
      shared.stop();
    }
    if (!terminal || std::chrono::steady_clock::now() - start < kLong) return;
    fmt::print(stderr, "\r\x1b[K {}: {} of {} ({}%)", what, done, count, 100 * done / count);
    std::fflush(stderr);
    drawn = true;
  });
  for (std::thread& thread : threads) thread.join();
  if (drawn) fmt::print(stderr, "\r\x1b[K");
  shared.rethrow();
  if (stopped) throw LoadStopped();
}

}  // namespace decorr::data
