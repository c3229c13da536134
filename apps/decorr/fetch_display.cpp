#include "apps/decorr/fetch_display.h"

#include "decorr/data/fetch/disk_space.h"
#include "decorr/train/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <unistd.h>

namespace decorr::app {
namespace {

constexpr std::uint64_t kWidth = 24;
constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLine{5};

}  // namespace

FetchDisplay::FetchDisplay(std::FILE* stream)
    : stream_(stream), terminal_(isatty(fileno(stream)) == 1) {}

FetchDisplay::~FetchDisplay() { clear(); }

void FetchDisplay::update(const std::string& task, std::uint64_t done, std::uint64_t total) {
  const auto now = Clock::now();
  if (task != task_) {
    task_ = task;
    start_ = done;
    started_ = now;
  }
  const auto interval = terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLine);
  if (now - shown_ < interval) return;
  shown_ = now;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double rate =
      seconds > 0 && done > start_ ? static_cast<double>(done - start_) / seconds : 0;
  std::string text = data::format_bytes(done);
  if (total > 0) text += fmt::format(" of {}", data::format_bytes(total));
  if (rate > 0) text += fmt::format("  {}/s", data::format_bytes(static_cast<std::uint64_t>(rate)));
  if (rate > 0 && total > done)
    text +=
        fmt::format("  {} left", train::format_duration(static_cast<double>(total - done) / rate));
  if (!terminal_) {
    line(fmt::format("{}: {}", task, text));
    return;
  }
  std::string bar;
  if (total > 0) {
    const std::uint64_t filled = kWidth * std::min(done, total) / total;
    bar = fmt::format("[{}{}] {:3}%  ", std::string(filled, '='), std::string(kWidth - filled, ' '),
                      100 * std::min(done, total) / total);
  }
  fmt::print(stream_, "\r\x1b[K {}  {}{}", task, bar, text);
  std::fflush(stream_);
  drawn_ = true;
}

void FetchDisplay::line(const std::string& text) {
  clear();
  fmt::print(stream_, "{}\n", text);
  std::fflush(stream_);
}

void FetchDisplay::clear() {
  if (!drawn_) return;
  fmt::print(stream_, "\r\x1b[K");
  std::fflush(stream_);
  drawn_ = false;
}

}  // namespace decorr::app
