#include "decorr/train/progress.h"

#include <fmt/format.h>

#include <cmath>
#include <sys/ioctl.h>
#include <unistd.h>

namespace decorr::train {
namespace {

constexpr int kWidth = 24;
constexpr std::chrono::milliseconds kRedraw{100};

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Progress(std::FILE* stream, bool quiet)
    : stream_(stream), quiet_(quiet), terminal_(!quiet && isatty(fileno(stream)) == 1) {}

Progress::~Progress() { clear(); }

void Progress::start_epoch(std::int64_t epoch, std::int64_t epochs, std::int64_t done,
                           std::int64_t samples) {
  epoch_ = epoch;
  epochs_ = epochs;
  start_ = done;
  samples_ = samples;
  started_ = redrawn_ = Clock::now();
}

void Progress::update(std::int64_t done, double loss, double accuracy) {
  if (!terminal_) return;
  const auto now = Clock::now();
  if (now - redrawn_ < kRedraw) return;
  redrawn_ = now;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double rate = static_cast<double>(done - start_) / seconds;
  const double remaining = static_cast<double>(samples_ - done) / rate;
  const int filled = static_cast<int>(kWidth * done / samples_);
  fmt::print(stream_,
             "\r\x1b[K epoch {}/{} [{}{}] {:3}%  {:.0f}/s  {} left  loss {:.4f}  acc {:.2f}%",
             epoch_, epochs_, std::string(static_cast<std::size_t>(filled), '='),
             std::string(static_cast<std::size_t>(kWidth - filled), ' '), 100 * done / samples_,
             rate, format_duration(remaining), loss, 100 * accuracy);
  std::fflush(stream_);
  drawn_ = true;
}

void Progress::status(const std::string& text) {
  if (!terminal_) return;
  const auto now = Clock::now();
  if (drawn_ && now - redrawn_ < kRedraw) return;
  redrawn_ = now;
  winsize window{};
  const bool known = ioctl(fileno(stream_), TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
  const std::size_t width = known ? window.ws_col - 1U : 79U;
  fmt::print(stream_, "\r\x1b[K{}", text.substr(0, width));
  std::fflush(stream_);
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  fmt::print(stream_, "\r\x1b[K");
  std::fflush(stream_);
  drawn_ = false;
}

void Progress::line(const std::string& text) {
  if (quiet_) return;
  clear();
  fmt::print(stream_, "{}\n", text);
  std::fflush(stream_);
}

}  // namespace decorr::train
