#include "decorr/sweep/stop_rule.h"

#include "decorr/core/check.h"

#include <algorithm>

namespace decorr::sweep {

std::int64_t StopRule::judge(const std::string& name, const std::string& group,
                             const std::vector<double>& curve, std::int64_t epochs) {
  Course& course = courses_[name];
  course.group = group;
  course.curve = curve;
  const auto last = std::min(static_cast<std::int64_t>(curve.size()), epochs - 1);
  while (course.stopped_after == 0 && course.judged < last) {
    ++course.judged;
    if (course.judged >= options_.grace_epochs &&
        hopeless(name, static_cast<std::size_t>(course.judged)))
      course.stopped_after = course.judged;
  }
  if (course.stopped_after > 0)
    course.curve.resize(
        std::min(course.curve.size(), static_cast<std::size_t>(course.stopped_after)));
  return course.stopped_after;
}

bool StopRule::hopeless(const std::string& name, std::size_t epoch) const {
  const Course& own = courses_.at(name);
  std::vector<double> others;
  for (const auto& [other, course] : courses_)
    if (other != name && course.group == own.group && course.curve.size() >= epoch)
      others.push_back(course.curve[epoch - 1]);
  return static_cast<std::int64_t>(others.size()) >= options_.min_runs &&
         metric_.better(median(others, metric_), own.curve[epoch - 1]);
}

std::int64_t StopRule::stopped_after(const std::string& name) const {
  const auto found = courses_.find(name);
  return found == courses_.end() ? 0 : found->second.stopped_after;
}

nlohmann::ordered_json StopRule::decisions() const {
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  for (const auto& [name, course] : courses_)
    result[name] = {{"judged", course.judged}, {"stopped_after", course.stopped_after}};
  return result;
}

void StopRule::load(const nlohmann::ordered_json& decisions) {
  check_runtime(decisions.is_object(), "not decisions of a sweep: {}", decisions.dump());
  for (const auto& [name, decision] : decisions.items()) {
    const bool whole = decision.is_object() && decision.contains("judged") &&
                       decision["judged"].is_number_integer() &&
                       decision.contains("stopped_after") &&
                       decision["stopped_after"].is_number_integer();
    check_runtime(whole, "not a decision of a sweep: {}", decision.dump());
    courses_[name].judged = decision["judged"].get<std::int64_t>();
    courses_[name].stopped_after = decision["stopped_after"].get<std::int64_t>();
  }
}

double median(std::vector<double> values, const Metric& metric) {
  check_argument(!values.empty(), "[median] needs at least one value, got none");
  std::sort(values.begin(), values.end(), [&](double a, double b) { return metric.better(a, b); });
  return values[values.size() / 2];
}

}  // namespace decorr::sweep
