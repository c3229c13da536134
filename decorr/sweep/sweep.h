#pragma once

#include "decorr/train/progress.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace decorr::sweep {

/// How a sweep is carried out; what it consists of stands in its file.
struct SweepOptions {
  std::filesystem::path out;  ///< folder of the sweep; new, empty, or one to go on with
  std::int64_t jobs = 0;      ///< runs at a time; 0: as many as the processors have room for
  std::int64_t threads = 0;   ///< of each run; 0: those that the sweep began with
  /// The program `decorr`, which trains the runs; the default is the calling program, so that
  /// others than `decorr` itself have to say where it is.
  std::filesystem::path program = "/proc/self/exe";
};

/// How the work on a sweep ended.
enum class SweepOutcome {
  kCompleted,      ///< all runs are at their ends
  kInterrupted,    ///< asked to stop; to be called again
  kFailed,         ///< a run failed otherwise than by diverging; see Sweep::failure()
  kNothingUsable,  ///< all runs are at their ends, and no setting has a number to compare, or none
                   ///< of the final ones
};

struct Plan;
class Phase;
class SweepDirectory;

/// Many training runs from one file: every point of a grid or random draws, the best setting of
/// each group, and the best ones again on other seeds. docs/sweeps.md describes the file.
///
/// Each run is a process of its own, `decorr train`. A sweep that was stopped, also by a kill, goes
/// on where it was when it is run again.
///
/// Threads are those of `SweepOptions::threads`, of an earlier call with them, or of
/// `train.threads`; where that leaves them open, runs share the processors.
class Sweep {
 public:
  /// Reads the sweep file at `path` and checks it, the configuration of every run, the data and the
  /// folder; writes nothing. Throws `std::invalid_argument` (train::ConfigError for the file) for
  /// what cannot be used, and `std::runtime_error` if data are missing or a state is damaged.
  Sweep(const std::string& path, const SweepOptions& options);
  ~Sweep();
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  /// What would be run, a line a run.
  std::string description() const;

  /// Carries out what is not done yet, until the end or until `interrupted` returns true; shows its
  /// progress and, at the end, tables. Throws `std::runtime_error` if the folder is in use by
  /// another process or something cannot be written or read.
  SweepOutcome run(train::Progress& progress, const std::function<bool()>& interrupted);

  /// The error of the run that failed, in one line.
  const std::string& failure() const { return failure_; }

 private:
  void write_results(const Phase& search, const Phase* last) const;

  std::unique_ptr<Plan> plan_;
  std::unique_ptr<SweepDirectory> directory_;
  std::filesystem::path program_;
  std::int64_t jobs_ = 1;
  std::int64_t asked_threads_ = 0;  // of all runs, if not 0
  std::int64_t open_threads_ = 1;   // of runs whose configuration leaves them open
  std::string failure_;
};

}  // namespace decorr::sweep
