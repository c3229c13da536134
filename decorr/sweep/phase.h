#pragma once

#include "decorr/sweep/child_process.h"
#include "decorr/sweep/plan.h"
#include "decorr/sweep/run_result.h"
#include "decorr/sweep/stop_rule.h"
#include "decorr/train/progress.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <string>
#include <vector>

// Runs that are to be done, some at a time. Internal to sweep/: not installed.
namespace decorr::sweep {

/// How the work on a list of runs ended.
enum class PhaseEnd {
  kDone,         ///< every run is at its end
  kInterrupted,  ///< asked to stop; what ran has written checkpoints
  kFailed,       ///< a run failed otherwise than by diverging
};

/// Brings a list of runs to their ends, each in a process and a folder of its own.
class Phase {
 public:
  /// The `runs` have their folders in `folder`; at most `jobs` of them run at once, by `program`.
  Phase(std::filesystem::path folder, std::vector<Run> runs, Metric metric, std::int64_t jobs,
        std::filesystem::path program);

  /// Stops runs as `rule` says; `save` is called after it has judged, before a run is stopped.
  void use(StopRule& rule, std::function<void()> save);

  /// Finds out what earlier calls have left.
  void load();

  /// Starts and watches what is not done. `changed` is called after each run that ends.
  PhaseEnd run(train::Progress& progress, const std::function<bool()>& interrupted,
               const std::function<void()>& changed);

  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<RunResult>& results() const { return results_; }
  const Metric& metric() const { return metric_; }
  std::size_t done() const;

  /// The error of the run that failed, in one line.
  const std::string& failure() const { return failure_; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Running {
    Running(std::size_t run, const std::filesystem::path& program,
            const std::filesystem::path& folder, const std::filesystem::path& log)
        : index(run),
          process(program, {"train", "--out", folder.string(), "--resume", "--quiet"}, log) {}

    std::size_t index;
    ChildProcess process;
    Clock::time_point started = Clock::now();
    std::filesystem::file_time_type seen{};  // of the metrics that were judged
  };

  std::filesystem::path folder_of(std::size_t index) const { return folder_ / runs_[index].name; }
  std::filesystem::path log_of(std::size_t index) const {
    return folder_ / (runs_[index].name + ".log");
  }
  std::int64_t judge(std::size_t index, const std::vector<nlohmann::ordered_json>& rows);
  void launch(train::Progress& progress);
  void watch();
  bool reap(train::Progress& progress);
  void finish(const Running& running, const ChildExit& exit);
  void fail(std::size_t index, const std::string& reason);
  void show_result(const Running& running, train::Progress& progress);
  void show_status(train::Progress& progress) const;

  std::filesystem::path folder_;
  std::vector<Run> runs_;
  Metric metric_;
  std::size_t jobs_;
  std::filesystem::path program_;
  StopRule* rule_ = nullptr;
  std::function<void()> save_;
  std::vector<RunResult> results_;
  std::list<Running> running_;
  std::size_t next_ = 0;
  bool interrupted_ = false;
  std::string failure_;
  std::string waiting_for_;  // a run that another process is at work on
  double finished_seconds_ = 0;
  std::size_t finished_ = 0;
};

}  // namespace decorr::sweep
