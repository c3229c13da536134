#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace decorr::train {

/// Shows how a run goes: on a terminal a bar that redraws itself with rate, time left, loss and
/// accuracy; otherwise plain lines only.
class Progress {
 public:
  /// Writes lines to `stream`; `quiet` writes nothing at all. The bar appears if `stream` is a
  /// terminal.
  explicit Progress(std::FILE* stream, bool quiet = false);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// An epoch begins: number `epoch` of `epochs` (from 1), with `done` of its `samples` seen.
  void start_epoch(std::int64_t epoch, std::int64_t epochs, std::int64_t done,
                   std::int64_t samples);

  /// `done` samples of the epoch have been seen, with mean `loss` and `accuracy` (a fraction).
  void update(std::int64_t done, double loss, double accuracy);

  /// Shows `text` in the place of the bar, cut to the width of the terminal.
  void status(const std::string& text);

  /// Removes the bar, if there is one.
  void clear();

  /// Writes a line, above the bar if there is one.
  void line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* stream_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::int64_t epoch_ = 0, epochs_ = 0, samples_ = 0, start_ = 0;
  Clock::time_point started_, redrawn_;
};

/// Seconds as `42 s`, `3:07` or `1:02:03`.
std::string format_duration(double seconds);

}  // namespace decorr::train
