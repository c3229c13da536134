#pragma once

#include "decorr/core/statistics.h"
#include "decorr/sweep/plan.h"
#include "decorr/sweep/run_result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Which setting is best. Internal to sweep/: not installed.
namespace decorr::sweep {

/// The runs of one setting together.
struct SettingResult {
  std::size_t setting = 0;  ///< index in the plan
  Estimate metric;          ///< over the runs; NaN unless all of them gave a number
  std::size_t runs = 0, diverged = 0, stopped = 0, pending = 0;

  /// Whether it can be chosen: every run has come to its end with a number.
  bool usable() const;
};

/// The settings that were compared with each other, and the best of them.
struct Group {
  std::vector<std::string> values;   ///< of `group_by`
  std::vector<std::size_t> members;  ///< indices in the list of results
  std::optional<std::size_t> best;   ///< one of them; the first in the plan's order if several
};

/// The results of `runs` by setting, in the order of the settings.
std::vector<SettingResult> by_setting(const Plan& plan, const std::vector<Run>& runs,
                                      const std::vector<RunResult>& results);

/// The groups of `results`, in the order of the plan, with the best member of each by `metric`.
/// None is best in a group of which no setting is usable().
std::vector<Group> choose(const Plan& plan, const std::vector<SettingResult>& results,
                          const Metric& metric);

/// A line for every numeric axis of a grid on which the best setting of a group is the first or the
/// last of several values: better ones may lie beyond.
std::vector<std::string> edge_notes(const Plan& plan, const std::vector<SettingResult>& results,
                                    const std::vector<Group>& groups);

}  // namespace decorr::sweep
