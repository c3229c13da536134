#pragma once

#include "decorr/core/statistics.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// What the runs of a sweep are compared by. Internal to sweep/: not installed.
namespace decorr::sweep {

/// A number of a run's metrics, which of its epochs counts, and which way is better.
struct Metric {
  std::string name;            ///< one of metric_names()
  std::string direction;       ///< `min` or `max`
  std::string epoch = "last";  ///< which epoch of a run counts: its `last`, or its `best` one

  /// Whether `a` is better than `b`. NaN, of a run that diverged, is worse than any number.
  bool better(double a, double b) const;

  /// What the run with these rows of `metrics.jsonl` is worth after each of its epochs: the value
  /// of that epoch, or the best one so far. NaN where a row has no finite number. The seconds of
  /// epochs in which the run was resumed are those of train::epoch_seconds().
  std::vector<double> curve(const std::vector<nlohmann::ordered_json>& rows) const;

  /// Whether it is measured on the validation images.
  bool needs_validation() const;

  /// Whether it is measured on the test images.
  bool is_of_test() const;

  /// Whether it is a fraction that is shown in per cent.
  bool is_accuracy() const;

  /// Its name with its unit: `test_acc [%]`.
  std::string heading() const;

  /// `value` in the unit of heading(): `91.25`, `0.1234`; `–` for NaN.
  std::string shown(double value) const;

  /// The mean in the unit of heading() with its standard error, if it has one: `91.25 ± 0.12`.
  std::string shown(const Estimate& estimate) const;
};

/// The numbers in a row of `metrics.jsonl` that runs can be compared by.
std::vector<std::string> metric_names();

/// The direction that is better by the nature of the metric `name`.
std::string natural_direction(const std::string& name);

}  // namespace decorr::sweep
