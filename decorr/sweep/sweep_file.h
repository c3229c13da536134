#pragma once

#include "decorr/sweep/distribution.h"
#include "decorr/sweep/metric.h"
#include "decorr/train/config_document.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A sweep as its file has it. Internal to sweep/: not installed.
namespace decorr::sweep {

/// Keys of the configuration by their full names with the values they are given, in order.
using Settings = std::vector<std::pair<std::string, train::Node>>;

/// A key of the configuration that takes several values.
struct Axis {
  std::string key;                           ///< full name, `optimizer.lr`
  std::string place;                         ///< where it stands
  std::vector<train::Node> values;           ///< of a grid, in order
  std::optional<Distribution> distribution;  ///< of a random search
};

/// A named bundle of settings.
struct Variant {
  std::string name;  ///< empty for the one variant of a sweep that names none
  std::string place;
  Settings set;            ///< on top of those for all variants
  std::vector<Axis> axes;  ///< that only this variant has
};

/// `[stop]`: when runs without a hope are stopped.
struct StopOptions {
  std::string rule = "median";
  std::int64_t grace_epochs = 2;  ///< epochs that every run may train, >= 1
  std::int64_t min_runs = 3;      ///< other runs it is compared with at least, >= 1
};

/// `[final]`: the best setting of each group once more, on other seeds.
struct FinalOptions {
  std::vector<std::int64_t> seeds;
  Settings set;
  Metric metric;
};

/// Everything that a sweep file says.
struct SweepFile {
  std::string path;    ///< of the file, as errors name it
  std::string config;  ///< base configuration
  std::string method = "grid";
  std::int64_t trials = 0;  ///< draws for each variant; `random` only
  std::int64_t seed = 1;    ///< of the draws; `random` only
  Metric metric;
  std::vector<std::int64_t> seeds;    ///< of the runs; empty: that of the base configuration
  std::vector<std::string> group_by;  ///< keys, or `variant`
  Settings set;
  std::vector<Axis> axes;         ///< that every variant has
  std::vector<Variant> variants;  ///< at least one
  std::optional<StopOptions> stop;
  std::optional<FinalOptions> final_phase;

  /// Whether the file names variants.
  bool has_variants() const { return !variants.front().name.empty(); }
};

/// Reads the sweep in `text`; `source_name` is what errors call it, and the base configuration is
/// looked for beside it. Throws ConfigError, naming the line, for what is not TOML, keys that are
/// unknown or without effect, and values of the wrong type or out of range. Values for keys of the
/// configuration are not checked yet.
SweepFile parse_sweep_file(const std::string& text, const std::string& source_name);

/// The same from the file at `path`.
SweepFile load_sweep_file(const std::string& path);

/// The sweep in TOML, defaults resolved. Reading it gives the same sweep.
std::string to_toml(const SweepFile& file);

/// What `[sweep]` and `[stop]` decide, a line each: all that must stay the same when a sweep goes
/// on. (The number of trials and the seeds may grow.)
std::string fixed_text(const SweepFile& file);

}  // namespace decorr::sweep
