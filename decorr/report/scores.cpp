#include "decorr/report/scores.h"

#include <algorithm>
#include <cmath>

namespace decorr::report {
namespace {

// Runs without an epoch or the number do not count.
template <typename ValueOf>
Estimate over_runs(const Group& group, ValueOf value_of) {
  std::vector<double> values;
  for (const Run& run : group.runs) {
    if (run.epochs.empty()) continue;
    const double value = value_of(run);
    if (std::isfinite(value)) values.push_back(value);
  }
  return estimate(values);
}

}  // namespace

const Epoch& best_epoch(const Run& run, bool by_validation) {
  // Smaller is better; what is not finite is never best.
  const auto badness = [&](const Epoch& epoch) {
    const double value =
        by_validation ? epoch.values[kValidationLoss] : -epoch.values[kTestAccuracy];
    return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
  };
  return *std::min_element(run.epochs.begin(), run.epochs.end(),
                           [&](const Epoch& a, const Epoch& b) { return badness(a) < badness(b); });
}

Score score(const Group& group) {
  const auto last = [](Metric metric) {
    return [metric](const Run& run) { return run.epochs.back().values[metric]; };
  };
  Score result;
  result.by_validation =
      group.epochs() > 0 && std::all_of(group.runs.begin(), group.runs.end(), [](const Run& run) {
        return run.epochs.empty() ||
               std::any_of(run.epochs.begin(), run.epochs.end(), [](const Epoch& epoch) {
                 return std::isfinite(epoch.values[kValidationLoss]);
               });
      });
  result.test_accuracy = over_runs(group, last(kTestAccuracy));
  result.best_accuracy = over_runs(group, [&](const Run& run) {
    return best_epoch(run, result.by_validation).values[kTestAccuracy];
  });
  result.train_accuracy = over_runs(group, last(kTrainAccuracy));
  result.top5 = over_runs(group, last(kTop5));
  result.epoch_seconds = over_runs(group, [](const Run& run) {
    return run.epochs.back().seconds / static_cast<double>(run.epochs.size());
  });
  result.seconds = over_runs(group, [](const Run& run) { return run.epochs.back().seconds; });
  return result;
}

}  // namespace decorr::report
