#include "decorr/sweep/run_result.h"

#include "decorr/train/metrics.h"

#include <algorithm>
#include <cmath>

namespace decorr::sweep {

std::string to_string(RunState state) {
  switch (state) {
    case RunState::kPending:
      return "pending";
    case RunState::kCompleted:
      return "completed";
    case RunState::kStoppedEarly:
      return "stopped-early";
    case RunState::kDiverged:
      return "diverged";
    case RunState::kStopped:
      return "stopped";
  }
  return "unknown";
}

RunResult result_of(const train::RunRecord& record, const Metric& metric,
                    std::int64_t stopped_after) {
  RunResult result;
  std::vector<nlohmann::ordered_json> rows = record.epochs;
  if (record.status == train::RunStatus::kDiverged) {
    result.state = RunState::kDiverged;
  } else if (stopped_after > 0) {
    result.state = RunState::kStopped;
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(stopped_after)));
  } else if (record.status == train::RunStatus::kCompleted) {
    result.state = RunState::kCompleted;
  } else if (record.status == train::RunStatus::kStoppedEarly) {
    result.state = RunState::kStoppedEarly;
  }
  result.epochs = static_cast<std::int64_t>(rows.size());
  for (const double seconds : train::epoch_seconds(rows))
    if (!std::isnan(seconds)) result.seconds += seconds;
  for (const auto& row : rows) result.seconds += row.value("eval_seconds", 0.0);
  const bool counts = result.done() && result.state != RunState::kDiverged;
  if (counts && !rows.empty()) result.metric = metric.curve(rows).back();
  return result;
}

}  // namespace decorr::sweep
