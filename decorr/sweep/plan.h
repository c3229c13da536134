#pragma once

#include "decorr/sweep/sweep_file.h"
#include "decorr/train/config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Which runs a sweep consists of. Internal to sweep/: not installed.
namespace decorr::sweep {

/// A value that a setting has on one axis.
struct Choice {
  std::string key;               ///< full name, `optimizer.lr`
  std::string text;              ///< value as tables and names have it
  std::optional<double> number;  ///< the value, if it is a number
};

/// A point of the grid or a draw: one configuration but for the seed.
struct Setting {
  std::string name;     ///< of variant and values: `plain-optimizer.lr=0.001`
  std::string variant;  ///< empty without variants
  std::vector<Choice> choices;
  std::vector<std::string> group;  ///< values of `group_by`
  train::Config config;            ///< with the first seed
  train::Config final_config;      ///< of `[final]`, with its first seed
};

/// A training run.
struct Run {
  std::string name;         ///< of its folder, different from all others'
  std::size_t setting = 0;  ///< index of its setting
  std::string group;        ///< the values of `group_by`, in one string
  train::Config config;
};

/// Everything that a sweep will run.
struct Plan {
  SweepFile file;
  std::vector<Setting> settings;  ///< in the order of the file, last axis fastest
  std::vector<Run> runs;          ///< each setting with each seed

  /// The runs of `[final]` for the settings with these indices.
  std::vector<Run> final_runs(const std::vector<std::size_t>& best) const;

  /// Keys of all axes, in the order of the file.
  std::vector<std::string> axis_keys() const;

  /// The settings of variant `name` on the axis `key`, in order, those that are numbers.
  std::vector<double> axis_numbers(const std::string& variant, const std::string& key) const;

  /// Gives runs whose configuration leaves the number of threads open `otherwise` threads, and, if
  /// `threads` is not 0, all runs `threads`.
  void set_threads(std::int64_t threads, std::int64_t otherwise);

  /// Most threads that a run has.
  std::int64_t most_threads() const;
};

/// Resolves and checks the configuration of every run of `file`, those of `[final]` included.
/// Throws ConfigError, naming the line and the variant, for the first that cannot be used, for runs
/// that are the same, and for a metric that they do not have.
Plan make_plan(SweepFile file);

}  // namespace decorr::sweep
