#pragma once

#include "decorr/sweep/metric.h"
#include "decorr/train/run_record.h"

#include <cstdint>
#include <limits>
#include <string>

// What has become of a run of a sweep. Internal to sweep/: not installed.
namespace decorr::sweep {

/// How far a run of a sweep is.
enum class RunState {
  kPending,       ///< not at its end yet
  kCompleted,     ///< all epochs done
  kStoppedEarly,  ///< by its own `train.early_stopping`
  kDiverged,      ///< not finite any more
  kStopped,       ///< by the sweep's `[stop]`
};

/// `pending`, `completed`, `stopped-early`, `diverged` or `stopped`.
std::string to_string(RunState state);

/// A run of a sweep as its results list it.
struct RunResult {
  RunState state = RunState::kPending;
  double metric = std::numeric_limits<double>::quiet_NaN();  ///< NaN if diverged or pending
  std::int64_t epochs = 0;                                   ///< that it trained, or that count
  double seconds = 0;                                        ///< of training and evaluation

  bool done() const { return state != RunState::kPending; }
};

/// The result of the run that `record` holds. With `stopped_after` > 0 the sweep has decided to
/// stop it after that epoch, and later ones do not count; a run that diverged before it could be
/// stopped is listed as diverged.
RunResult result_of(const train::RunRecord& record, const Metric& metric,
                    std::int64_t stopped_after = 0);

}  // namespace decorr::sweep
