#include "decorr/report/time_to_accuracy.h"

#include "decorr/core/check.h"
#include "decorr/report/curves.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

namespace decorr::report {
namespace {

// Accuracies are counts over counts: a target that was computed from them is met by its like.
constexpr double kRounding = 1e-9;

std::vector<double> logarithms(const std::vector<double>& values) {
  std::vector<double> result;
  for (const double value : values) result.push_back(std::log(value));
  return result;
}

// Settings outside [decorrelation] in which two groups differ.
std::int64_t distance(const Group& a, const Group& b) {
  const std::vector<std::string> keys = differing_keys({a, b});
  return std::count_if(keys.begin(), keys.end(),
                       [](const std::string& key) { return key.rfind("decorrelation.", 0) != 0; });
}

// Seconds until each run that gets there is there.
std::vector<double> seconds_to(const Group& group, double accuracy) {
  std::vector<double> result;
  for (const Run& run : group.runs)
    if (const auto epoch = first_epoch_at(run, accuracy))
      result.push_back(run.epochs[*epoch].seconds);
  return result;
}

// The runs by seed. A seed that a group of mixed settings has twice has no partner of its own and
// is left out.
std::map<std::int64_t, const Run*> runs_by_seed(const Group& group) {
  std::multiset<std::int64_t> seeds;
  for (const Run& run : group.runs) seeds.insert(run.seed);
  std::map<std::int64_t, const Run*> result;
  for (const Run& run : group.runs)
    if (seeds.count(run.seed) == 1) result[run.seed] = &run;
  return result;
}

// In pairs if the groups have seeds in common, however many of them get there.
Ratio compare(const Group& group, const Group& baseline, double accuracy) {
  const auto partners = runs_by_seed(baseline);
  bool in_pairs = false;
  std::vector<double> mine, other;
  for (const auto& [seed, run] : runs_by_seed(group)) {
    const auto partner = partners.find(seed);
    if (partner == partners.end()) continue;
    in_pairs = true;
    const Run& base = *partner->second;
    const auto epoch = first_epoch_at(*run, accuracy), base_epoch = first_epoch_at(base, accuracy);
    if (!epoch || !base_epoch) continue;
    mine.push_back(run->epochs[*epoch].seconds);
    other.push_back(base.epochs[*base_epoch].seconds);
  }
  return in_pairs ? paired_ratio(mine, other)
                  : unpaired_ratio(seconds_to(group, accuracy), seconds_to(baseline, accuracy));
}

}  // namespace

std::optional<std::size_t> first_epoch_at(const Run& run, double accuracy) {
  for (std::size_t i = 0; i < run.epochs.size(); ++i)
    if (run.epochs[i].values[kTestAccuracy] >= accuracy - kRounding) return i;
  return std::nullopt;
}

Ratio paired_ratio(const std::vector<double>& seconds, const std::vector<double>& baseline) {
  check_argument(seconds.size() == baseline.size(),
                 "[paired_ratio] expected as many numbers on both sides, got {} and {}",
                 seconds.size(), baseline.size());
  std::vector<double> logs = logarithms(seconds);
  const std::vector<double> base = logarithms(baseline);
  for (std::size_t i = 0; i < logs.size(); ++i) logs[i] -= base[i];
  const Estimate mean = estimate(logs);
  return {std::exp(mean.mean), std::exp(mean.mean - mean.half_width),
          std::exp(mean.mean + mean.half_width), logs.size()};
}

Ratio unpaired_ratio(const std::vector<double>& seconds, const std::vector<double>& baseline) {
  const Estimate a = estimate(logarithms(seconds)), b = estimate(logarithms(baseline));
  const double log_ratio = a.mean - b.mean;
  Ratio result{std::exp(log_ratio), kUnknown, kUnknown, 0};
  const double va = a.standard_error * a.standard_error, vb = b.standard_error * b.standard_error;
  const double variance = va + vb;
  if (!std::isfinite(variance)) return result;
  double half_width = 0;
  if (variance > 0) {  // Welch and Satterthwaite's degrees of freedom, rounded down
    const double freedom =
        variance * variance /
        (va * va / static_cast<double>(a.count - 1) + vb * vb / static_cast<double>(b.count - 1));
    half_width =
        student_quantile(static_cast<std::size_t>(std::max(1.0, freedom))) * std::sqrt(variance);
  }
  result.low = std::exp(log_ratio - half_width);
  result.high = std::exp(log_ratio + half_width);
  return result;
}

const Group* baseline_of(const Group& group, const std::vector<Group>& groups) {
  if (group.is_plain()) return nullptr;
  const Group* best = nullptr;
  std::tuple<std::int64_t, double> best_rank;
  for (const Group& other : groups) {
    if (!other.is_plain() || other.setting("data.name") != group.setting("data.name") ||
        other.setting("learning.rule") != group.setting("learning.rule"))
      continue;
    const double highest = highest_mean(other, kTestAccuracy);
    const std::tuple rank(distance(group, other), std::isfinite(highest)
                                                      ? -highest
                                                      : std::numeric_limits<double>::infinity());
    if (best == nullptr || rank < best_rank) {
      best = &other;
      best_rank = rank;
    }
  }
  return best;
}

TimeToAccuracy time_to_accuracy(const Group& group, const std::vector<Group>& groups,
                                double accuracy) {
  TimeToAccuracy result;
  std::vector<double> epochs, seconds;
  for (const Run& run : group.runs) {
    const auto epoch = first_epoch_at(run, accuracy);
    if (!epoch) continue;
    epochs.push_back(static_cast<double>(*epoch + 1));
    seconds.push_back(run.epochs[*epoch].seconds);
  }
  result.runs = group.runs.size();
  result.reached = epochs.size();
  result.epochs = estimate(epochs);
  result.seconds = estimate(seconds);
  const Group* baseline = baseline_of(group, groups);
  result.relative = {kUnknown, kUnknown, kUnknown, 0};
  if (baseline != nullptr) {
    result.baseline = baseline->name;
    result.relative = compare(group, *baseline, accuracy);
  }
  return result;
}

}  // namespace decorr::report
