#include "decorr/sweep/metric.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace decorr::sweep {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

bool Metric::better(double a, double b) const {
  if (std::isnan(a)) return false;
  if (std::isnan(b)) return true;
  return direction == "max" ? a > b : a < b;
}

std::vector<double> Metric::curve(const std::vector<nlohmann::ordered_json>& rows) const {
  std::vector<double> values;
  for (const nlohmann::ordered_json& row : rows) {
    const auto found = row.find(name);
    const bool number = found != row.end() && found->is_number();
    double value = number ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!std::isfinite(value)) value = std::numeric_limits<double>::quiet_NaN();
    if (epoch == "best" && !values.empty() && !better(value, values.back())) value = values.back();
    values.push_back(value);
  }
  return values;
}

bool Metric::needs_validation() const { return name.rfind("validation_", 0) == 0; }

bool Metric::is_accuracy() const { return ends_with(name, "_acc"); }

std::string Metric::heading() const { return is_accuracy() ? name + " [%]" : name; }

std::string Metric::shown(double value) const {
  if (std::isnan(value)) return "–";
  if (is_accuracy()) return fmt::format("{:.2f}", 100 * value);
  return fmt::format("{:.5g}", value);
}

std::string Metric::shown(const Estimate& estimate) const {
  if (!std::isfinite(estimate.standard_error)) return shown(estimate.mean);
  return is_accuracy()
             ? fmt::format("{} ± {:.2f}", shown(estimate.mean), 100 * estimate.standard_error)
             : fmt::format("{} ± {:.2g}", shown(estimate.mean), estimate.standard_error);
}

std::vector<std::string> metric_names() {
  return {"train_loss", "train_acc",     "validation_loss", "validation_acc",    "test_loss",
          "test_acc",   "train_seconds", "eval_seconds",    "samples_per_second"};
}

std::string natural_direction(const std::string& name) {
  return ends_with(name, "_acc") || name == "samples_per_second" ? "max" : "min";
}

}  // namespace decorr::sweep
