#include "decorr/data/fetch/download.h"

#include "decorr/core/check.h"
#include "decorr/data/fetch/checksum.h"
#include "decorr/data/fetch/part_file.h"
#include "decorr/data/fetch/transfer.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

void wait(double seconds, const FetchEvents& events) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    events.check_stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

class Download {
 public:
  Download(const RemoteFile& file, const fs::path& folder, const DownloadOptions& options,
           const FetchEvents& events)
      : file_(file),
        folder_(folder),
        path_(folder / file.name),
        options_(options),
        events_(events),
        part_(path_),
        urls_(file.urls) {}

  fs::path run() {
    if (fs::exists(path_)) {
      if (sha256_of(path_, events_) == file_.sha256) return path_;
      fs::remove(path_);
    }
    double pause = options_.backoff();
    for (std::int64_t retry = 0;; ++retry, pause *= 2) {
      for (const std::string& url : std::vector<std::string>(urls_))
        if (from(url)) return path_;
      if (urls_.empty() || retry == options_.retries()) give_up();
      events_.message(fmt::format("{}; trying again in {:.3g} s ({} of {})", failures(), pause,
                                  retry + 1, options_.retries()));
      wait(pause, events_);
    }
  }

 private:
  // Whether the file came from `url`, and whole.
  bool from(const std::string& url) {
    for (;;) {
      Transfer result{Transfer::Outcome::kWhole, "", true};
      // All bytes may be there already: then only the name is missing.
      if (file_.bytes == 0 || part_.size() != file_.bytes) result = ask(url);
      if (result.outcome == Transfer::Outcome::kWhole) {
        part_.publish();
        const std::string sum = sha256_of(path_, events_);
        if (sum == file_.sha256) return true;
        fs::remove(path_);
        if (result.resumed) {
          events_.message(fmt::format("the parts of {} do not fit: starting over", file_.name));
          continue;
        }
        result.reason = fmt::format("its SHA-256 is {}, expected {}", sum, file_.sha256);
        result.outcome = Transfer::Outcome::kWrong;
      }
      failures_[url] = result.reason;
      if (result.outcome == Transfer::Outcome::kWrong) wrong_ = true;
      if (result.outcome != Transfer::Outcome::kPasses)
        urls_.erase(std::find(urls_.begin(), urls_.end(), url));
      return false;
    }
  }

  Transfer ask(const std::string& url) {
    if (file_.bytes != 0 && part_.size() > file_.bytes) part_.remove();
    const std::uint64_t size = part_.size();
    events_.message(size > 0
                        ? fmt::format("going on with {} at byte {} from {}", file_.name, size, url)
                        : fmt::format("downloading {} from {}", file_.name, url));
    return transfer(url, file_, part_, folder_, options_, events_);
  }

  // What went wrong, at each of the URLs.
  std::string failures() const {
    std::vector<std::string> lines;
    for (const auto& [url, reason] : failures_) lines.push_back(fmt::format("{}: {}", url, reason));
    return fmt::format("{}", fmt::join(lines, "; "));
  }

  [[noreturn]] void give_up() const {
    const std::string text = fmt::format(
        "[fetch] cannot download {}: {}; {}give a mirror with --url or the file with "
        "--from",
        file_.name, failures(),
        urls_.empty() ? "" : "check the network and run it again to go on, or ");
    if (urls_.empty() && wrong_) throw BadContent(text);
    throw std::runtime_error(text);
  }

  const RemoteFile& file_;
  const fs::path& folder_;
  const fs::path path_;
  const DownloadOptions& options_;
  const FetchEvents& events_;
  PartFile part_;
  std::vector<std::string> urls_;                // that may still have it
  std::map<std::string, std::string> failures_;  // the last one at each URL
  bool wrong_ = false;                           // another file came
};

}  // namespace

void check_options(const DownloadOptions& options) {
  check_argument(options.connect_timeout() >= 1, "[fetch] connect_timeout must be >= 1 s, got {}",
                 options.connect_timeout());
  check_argument(options.stall_timeout() >= 1, "[fetch] stall_timeout must be >= 1 s, got {}",
                 options.stall_timeout());
  check_argument(options.retries() >= 0, "[fetch] retries must be >= 0, got {}", options.retries());
  check_argument(options.backoff() >= 0, "[fetch] backoff must be >= 0 s, got {}",
                 options.backoff());
}

fs::path download(const RemoteFile& file, const fs::path& folder, const DownloadOptions& options,
                  const FetchEvents& events) {
  check_options(options);
  return Download(file, folder, options, events).run();
}

}  // namespace decorr::data
