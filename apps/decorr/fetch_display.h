#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace decorr::app {

/// Shows how fetching goes: on a terminal a bar that redraws itself, otherwise a plain line every
/// few seconds.
class FetchDisplay {
 public:
  /// Writes to `stream`; the bar appears if that is a terminal.
  explicit FetchDisplay(std::FILE* stream);
  ~FetchDisplay();
  FetchDisplay(const FetchDisplay&) = delete;
  FetchDisplay& operator=(const FetchDisplay&) = delete;

  /// `done` of `total` bytes of `task`; `total` 0: not known.
  void update(const std::string& task, std::uint64_t done, std::uint64_t total);

  /// Writes a line, above the bar if there is one.
  void line(const std::string& text);

  /// Removes the bar, if there is one.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* stream_;
  bool terminal_;
  bool drawn_ = false;
  std::string task_;
  std::uint64_t start_ = 0;
  Clock::time_point started_, shown_ = Clock::now();
};

}  // namespace decorr::app
