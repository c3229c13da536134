#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace decorr::train {

/// The rows of a run's `metrics.jsonl`: a JSON object a line, one an epoch.
class MetricsLog {
 public:
  explicit MetricsLog(std::filesystem::path path) : path_(std::move(path)) {}

  /// All whole rows; none if there is no file. A last line that was cut off by a crash is left out.
  /// Throws `std::runtime_error` for a damaged line before the last.
  std::vector<nlohmann::ordered_json> rows() const;

  /// Keeps the first `count` rows (or all, if there are fewer) and drops the rest.
  void truncate(std::size_t count) const;

  /// Appends one row; the line is on the disk when this returns. Throws `std::runtime_error`.
  void append(const nlohmann::ordered_json& row) const;

 private:
  std::filesystem::path path_;
};

/// The seconds of training of each epoch in `rows`, NaN where a row has none.
///
/// Of an epoch in the middle of which the run was resumed (`resumed_at_step`) only the steps since
/// have been timed; those before are taken to have been as fast.
std::vector<double> epoch_seconds(const std::vector<nlohmann::ordered_json>& rows);

}  // namespace decorr::train
