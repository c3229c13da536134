#include "decorr/data/prefetch.h"

#include "decorr/core/check.h"
#include "decorr/core/threads.h"

#include <utility>

namespace decorr::data {

Prefetcher::Prefetcher(std::int64_t begin, std::int64_t end, std::int64_t ahead,
                       std::function<Batch(std::int64_t)> make)
    : ahead_(static_cast<std::size_t>(ahead)), make_(std::move(make)) {
  check_argument(ahead >= 1, "[Prefetcher] must be at least 1 batch ahead, got {}", ahead);
  thread_ = std::thread([this, begin, end] { run(begin, end); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  room_.notify_one();
  thread_.join();
}

bool Prefetcher::next(Batch& batch) {
  std::unique_lock lock(mutex_);
  news_.wait(lock, [this] { return done_ || !queue_.empty(); });
  if (queue_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return false;
  }
  batch = std::move(queue_.front());
  queue_.pop_front();
  lock.unlock();
  room_.notify_one();
  return true;
}

void Prefetcher::run(std::int64_t begin, std::int64_t end) {
  std::exception_ptr error;
  try {
    set_threads(1);
    for (std::int64_t index = begin; index < end && wait_for_room(); ++index) {
      Batch batch = make_(index);
      {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(batch));
      }
      news_.notify_one();
    }
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = error;
    done_ = true;
  }
  news_.notify_one();
}

// True once there is room in the queue, false if nobody wants more.
bool Prefetcher::wait_for_room() {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [this] { return stop_ || queue_.size() < ahead_; });
  return !stop_;
}

}  // namespace decorr::data
