#pragma once

#include "decorr/sweep/metric.h"
#include "decorr/sweep/sweep_file.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// When a run without a hope is stopped. Internal to sweep/: not installed.
namespace decorr::sweep {

/// The median rule: a run is stopped after epoch e if its metric is worse than the median of the
/// metrics that the other runs of its group had after epoch e.
///
/// It is judged after each epoch from `grace_epochs` on but the last, and only if at least
/// `min_runs` others have come as far. Epochs are judged once and in order. What a stopped run does
/// after the epoch of the decision does not count, so that decisions depend on the order in which
/// runs proceed and on nothing else: run one after the other, they are always the same.
class StopRule {
 public:
  StopRule(StopOptions options, Metric metric)
      : options_(std::move(options)), metric_(std::move(metric)) {}

  /// Takes in what run `name` of `group` was worth after each of its epochs so far, `epochs` being
  /// all that it is to train, and judges those that were not judged before. Returns the epoch after
  /// which the run is to stop, 0 if it may go on.
  std::int64_t judge(const std::string& name, const std::string& group,
                     const std::vector<double>& curve, std::int64_t epochs);

  /// The epoch after which run `name` was stopped, 0 if it was not.
  std::int64_t stopped_after(const std::string& name) const;

  /// The decisions so far, for load().
  nlohmann::ordered_json decisions() const;

  /// Takes over decisions() of an earlier process. Throws `std::runtime_error` if they are none.
  void load(const nlohmann::ordered_json& decisions);

 private:
  struct Course {
    std::string group;
    std::vector<double> curve;
    std::int64_t judged = 0, stopped_after = 0;
  };

  bool hopeless(const std::string& name, std::size_t epoch) const;

  StopOptions options_;
  Metric metric_;
  std::map<std::string, Course> courses_;
};

/// The median of `values`, at least one, by `metric`: of an even number the worse one of the two in
/// the middle, so that no run is stopped for a value between them.
double median(std::vector<double> values, const Metric& metric);

}  // namespace decorr::sweep
