#pragma once

#include "decorr/report/measures.h"
#include "decorr/train/run_record.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace decorr::report {

/// A decorrelated layer at the end of an epoch.
struct LayerState {
  std::string path;  ///< in the model: `layers.0`
  std::array<double, kLayerMeasures.size()> values{};
};

/// A row of `metrics.jsonl`; NaN for what it does not have.
struct Epoch {
  std::int64_t number = 0;  ///< from 1
  std::int64_t step = 0;    ///< optimizer steps so far
  double seconds = 0;       ///< of training since the start of the run, evaluation left out
  std::array<double, kMetrics.size()> values{};
  std::vector<LayerState> layers;
};

/// A run as a report sees it.
struct Run {
  std::filesystem::path path;
  std::string name;  ///< of its folder, also if it was given as `.`
  std::int64_t seed = 0;
  train::RunStatus status = train::RunStatus::kKilled;
  std::map<std::string, std::string> settings;  ///< train::settings(): full key to value in TOML
  std::vector<Epoch> epochs;                    ///< those that are whole
  std::vector<std::int64_t> resumed;            ///< epochs whose seconds are partly estimated

  /// The value of a setting in TOML, or an empty string if it has no effect in this run.
  std::string setting(const std::string& key) const;
};

/// Reads the run in `path` and changes nothing.
///
/// An epoch in the middle of which the run was resumed has been timed in part only; the rest is
/// taken to have been as fast. Throws as train::read_run() does, and `std::runtime_error`, naming
/// file and line, for a row of metrics without its epoch, step, losses, accuracies or seconds.
Run read_run(const std::filesystem::path& path);

}  // namespace decorr::report
