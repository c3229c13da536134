#include "decorr/sweep/phase.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"
#include "decorr/train/metrics.h"
#include "decorr/train/run_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <sstream>
#include <system_error>
#include <thread>

namespace decorr::sweep {
namespace {

// Exit codes of decorr train that a sweep can go on from.
constexpr int kSuccess = 0;
constexpr int kDiverged = 3;
constexpr int kInterrupted = 130;

constexpr std::string_view kErrorPrefix = "decorr: error: ";

// The last error in a log, or its last line, or nothing.
std::string error_in(const std::filesystem::path& log) {
  std::string last, error;
  std::istringstream stream(std::filesystem::exists(log) ? io::read_file(log) : "");
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(kErrorPrefix, 0) == 0) error = line.substr(kErrorPrefix.size());
    if (!line.empty()) last = line;
  }
  return error.empty() ? last : error;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Phase::Phase(std::filesystem::path folder, std::vector<Run> runs, Metric metric, std::int64_t jobs,
             std::filesystem::path program)
    : folder_(std::move(folder)),
      runs_(std::move(runs)),
      metric_(std::move(metric)),
      jobs_(static_cast<std::size_t>(jobs)),
      program_(std::move(program)),
      results_(runs_.size()) {}

void Phase::use(StopRule& rule, std::function<void()> save) {
  rule_ = &rule;
  save_ = std::move(save);
}

std::size_t Phase::done() const {
  return static_cast<std::size_t>(
      std::count_if(results_.begin(), results_.end(), [](const auto& r) { return r.done(); }));
}

// Lets the rule see what a run has done; the epoch after which it is to stop, or 0.
std::int64_t Phase::judge(std::size_t index, const std::vector<nlohmann::ordered_json>& rows) {
  if (rule_ == nullptr) return 0;
  const std::int64_t before = rule_->stopped_after(runs_[index].name);
  const std::int64_t after = rule_->judge(runs_[index].name, runs_[index].group,
                                          metric_.curve(rows), runs_[index].config.train.epochs);
  if (before == 0) save_();
  return after;
}

void Phase::load() {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (!std::filesystem::exists(folder_of(i) / "config.toml")) continue;
    const train::RunRecord record = train::read_run(folder_of(i));
    results_[i] = result_of(record, metric_, judge(i, record.epochs));
  }
}

PhaseEnd Phase::run(train::Progress& progress, const std::function<bool()>& interrupted,
                    const std::function<void()>& changed) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  check_runtime(!error, "cannot create a folder, {}, {}", folder_.string(), error.message());
  next_ = 0;
  while (true) {
    if (reap(progress)) changed();
    if (!interrupted_ && interrupted()) {
      interrupted_ = true;
      for (Running& running : running_) running.process.terminate();
    }
    if (!interrupted_ && failure_.empty()) launch(progress);
    watch();
    const bool stopping = interrupted_ || !failure_.empty();
    if (running_.empty() && (stopping || next_ == runs_.size())) break;
    show_status(progress);
    std::this_thread::sleep_for(kPause);
  }
  progress.clear();
  if (!failure_.empty()) return PhaseEnd::kFailed;
  return done() < runs_.size() ? PhaseEnd::kInterrupted : PhaseEnd::kDone;
}

void Phase::launch(train::Progress& progress) {
  for (; next_ < runs_.size() && running_.size() < jobs_; ++next_) {
    if (results_[next_].done()) continue;
    const std::filesystem::path folder = folder_of(next_);
    // The process of a sweep that was killed writes its checkpoint and ends.
    if (train::RunDirectory(folder).in_use()) {
      if (waiting_for_ != runs_[next_].name)
        progress.line(fmt::format("waiting for another process at work on {}", folder.string()));
      waiting_for_ = runs_[next_].name;
      return;
    }
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    check_runtime(!error, "cannot create a folder, {}, {}", folder.string(), error.message());
    if (!std::filesystem::exists(folder / "config.toml"))
      io::write_file_atomically(folder / "config.toml", train::to_toml(runs_[next_].config));
    running_.emplace_back(next_, program_, folder, log_of(next_));
  }
}

void Phase::watch() {
  if (rule_ == nullptr) return;
  for (Running& running : running_) {
    const std::filesystem::path file = train::RunDirectory(folder_of(running.index)).metrics();
    std::error_code error;
    const auto written = std::filesystem::last_write_time(file, error);
    if (error || written == running.seen) continue;
    running.seen = written;
    if (judge(running.index, train::MetricsLog(file).rows()) > 0) running.process.terminate();
  }
}

// Takes up the runs that have ended; whether there are any.
bool Phase::reap(train::Progress& progress) {
  bool any = false;
  for (auto running = running_.begin(); running != running_.end();) {
    const std::optional<ChildExit> exit = running->process.poll();
    if (!exit) {
      ++running;
      continue;
    }
    any = true;
    finish(*running, *exit);
    if (results_[running->index].done()) show_result(*running, progress);
    running = running_.erase(running);
  }
  return any;
}

void Phase::finish(const Running& running, const ChildExit& exit) {
  const std::size_t index = running.index;
  const std::filesystem::path log = log_of(index);
  std::error_code error;
  if (std::filesystem::file_size(log, error) == 0 && !error) std::filesystem::remove(log, error);
  // A signal that comes before training has begun to listen, or when it listens no more, ends the
  // process; what it has written counts.
  const bool asked = running.process.terminated() && exit.signal == SIGTERM;
  if (exit.signal != 0 && !asked)
    return fail(
        index, fmt::format("it was killed by signal {} ({})", exit.signal, strsignal(exit.signal)));
  if (exit.code != kSuccess && exit.code != kDiverged && exit.code != kInterrupted) {
    const std::string said = error_in(log);
    return fail(index, said.empty() ? fmt::format("exit code {}", exit.code) : said);
  }
  const train::RunRecord record = train::read_run(folder_of(index));
  // Also of a run that ended before the rule saw all of it: decisions are not to depend on that.
  results_[index] = result_of(record, metric_, judge(index, record.epochs));
  if (!results_[index].done() && !interrupted_)
    fail(index, "it was interrupted, but not by the sweep");
}

void Phase::fail(std::size_t index, const std::string& reason) {
  if (failure_.empty())
    failure_ = fmt::format("run {} failed: {}, {}, see to that and give the same command to go on",
                           runs_[index].name, reason,
                           std::filesystem::exists(log_of(index)) ? log_of(index).string()
                                                                  : folder_of(index).string());
}

void Phase::show_result(const Running& running, train::Progress& progress) {
  const RunResult& result = results_[running.index];
  const double seconds = seconds_since(running.started);
  finished_seconds_ += seconds;
  ++finished_;
  const std::string total = fmt::format("{}", runs_.size());
  progress.line(fmt::format(
      "[{:>{}}/{}] {}  {} {}  {}{}  {}", done(), total.size(), total, runs_[running.index].name,
      metric_.heading(), metric_.shown(result.metric), to_string(result.state),
      result.state == RunState::kStopped ? fmt::format(" after epoch {}", result.epochs) : "",
      train::format_duration(seconds)));
}

void Phase::show_status(train::Progress& progress) const {
  std::string names, left;
  for (const Running& running : running_) names += " " + runs_[running.index].name;
  if (finished_ > 0)
    left = fmt::format(", about {} left",
                       train::format_duration(finished_seconds_ / static_cast<double>(finished_) *
                                              static_cast<double>(runs_.size() - done()) /
                                              static_cast<double>(jobs_)));
  progress.status(fmt::format(" {} of {} done{}; {}{}", done(), runs_.size(), left,
                              interrupted_ ? "waiting for checkpoints of" : "running", names));
}

}  // namespace decorr::sweep
