#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace decorr::data {

/// What a training step consumes.
struct Batch {
  at::Tensor input;        ///< [N, C, H, W] as cropped, float32 or float64
  at::Tensor target;       ///< int64 [N]
  std::int64_t index = 0;  ///< number of the batch in its epoch, from 0
};

/// Makes batches in order on a thread of its own, a bounded number of them ahead of the consumer.
///
/// One thread consumes. That thread's number of LibTorch threads is left alone; the one that makes
/// the batches computes with a single one.
class Prefetcher {
 public:
  /// Starts to make batches `begin` … `end` - 1 by calling `make`, never more than `ahead` >= 1 of
  /// them before they are asked for. Throws `std::invalid_argument` if `ahead` is less than 1.
  Prefetcher(std::int64_t begin, std::int64_t end, std::int64_t ahead,
             std::function<Batch(std::int64_t)> make);

  /// Waits for the batch being made, if any; drops those not consumed.
  ~Prefetcher();

  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// Moves the next batch into `batch`, waiting for it if necessary; false, and `batch` untouched,
  /// when there are no more. Once the batches made before it are consumed, rethrows what `make`
  /// threw, in every call.
  bool next(Batch& batch);

 private:
  void run(std::int64_t begin, std::int64_t end);
  bool wait_for_room();

  const std::size_t ahead_;
  const std::function<Batch(std::int64_t)> make_;
  std::mutex mutex_;              // guards the five below
  std::condition_variable room_;  // the queue got shorter, or stop_
  std::condition_variable news_;  // the queue got longer, or done_
  std::deque<Batch> queue_;
  bool stop_ = false;
  bool done_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace decorr::data
