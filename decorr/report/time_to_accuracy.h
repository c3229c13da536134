#pragma once

#include "decorr/core/statistics.h"
#include "decorr/report/groups.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace decorr::report {

/// A test accuracy to be reached.
struct Target {
  double accuracy = 0;  ///< a fraction
  std::string origin;   ///< the plain group whose best it is; empty for a given or round number
};

/// Reads targets: fractions (`0.86`) or percentages (`86%`). Throws `std::invalid_argument` for
/// what is no number in (0, 1].
std::vector<Target> parse_targets(const std::vector<std::string>& texts);

/// Targets that tell `groups` apart: at most five round accuracies that are above the lowest mean
/// after the first epoch and that some group reaches on average, and highest_mean() of each plain
/// group that another is compared with (of each, if there are only plain ones). In ascending order.
std::vector<Target> default_targets(const std::vector<Group>& groups);

/// Index of the first epoch of `run` whose test accuracy is at least `accuracy`.
std::optional<std::size_t> first_epoch_at(const Run& run, double accuracy);

/// One quantity in units of another, with a 95 % confidence interval.
struct Ratio {
  double value = 0;       ///< geometric mean; NaN if it cannot be told
  double low = 0;         ///< NaN with too few measurements
  double high = 0;        ///< NaN with too few measurements
  std::size_t pairs = 0;  ///< seeds that both have; 0 if the two were compared without pairing
};

/// How long a group takes to a target.
struct TimeToAccuracy {
  std::size_t runs = 0;
  std::size_t reached = 0;  ///< runs that got there
  Estimate epochs;          ///< of those
  Estimate seconds;         ///< of training, of those
  std::string baseline;     ///< the plain group compared with; empty if there is none
  Ratio relative;           ///< seconds in units of the baseline's
};

/// What `group` is compared with: the plain group among `groups` with the same data and learning
/// rule that agrees with it in the most settings outside `decorrelation`; of several, the one with
/// the highest mean test accuracy. Null for a plain group and if there is none.
const Group* baseline_of(const Group& group, const std::vector<Group>& groups);

/// Epochs and training seconds until each run first has the test accuracy at the end of an epoch.
///
/// Means are over the runs that get there, which flatters a group where some do not: `reached` says
/// how many. The ratio of seconds is that of geometric means; its interval is Student's for the
/// logarithms of the ratios of equal seeds, or Welch's for two samples if no seed is in both (or
/// only such as a group of mixed settings has twice). If seeds are in both, but none gets there
/// with both, there is no ratio.
TimeToAccuracy time_to_accuracy(const Group& group, const std::vector<Group>& groups,
                                double accuracy);

/// The ratio of `seconds[i]` to `baseline[i]`, pairs of positive numbers.
Ratio paired_ratio(const std::vector<double>& seconds, const std::vector<double>& baseline);

/// The ratio of two independent samples of positive numbers.
Ratio unpaired_ratio(const std::vector<double>& seconds, const std::vector<double>& baseline);

}  // namespace decorr::report
