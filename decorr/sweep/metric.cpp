#include "decorr/sweep/metric.h"

#include "decorr/train/metrics.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace decorr::sweep {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The number called `name` in each row, NaN where there is none.
std::vector<double> numbers(const std::vector<nlohmann::ordered_json>& rows,
                            const std::string& name) {
  if (name == "train_seconds") return train::epoch_seconds(rows);
  std::vector<double> values;
  for (const nlohmann::ordered_json& row : rows) {
    const auto found = row.find(name);
    const bool number = found != row.end() && found->is_number();
    values.push_back(number ? found->get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return values;
}

}  // namespace

bool Metric::better(double a, double b) const {
  if (std::isnan(a)) return false;
  if (std::isnan(b)) return true;
  return direction == "max" ? a > b : a < b;
}

std::vector<double> Metric::curve(const std::vector<nlohmann::ordered_json>& rows) const {
  std::vector<double> values = numbers(rows, name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) values[i] = std::numeric_limits<double>::quiet_NaN();
    if (epoch == "best" && i > 0 && !better(values[i], values[i - 1])) values[i] = values[i - 1];
  }
  return values;
}

bool Metric::needs_validation() const { return name.rfind("validation_", 0) == 0; }

bool Metric::is_of_test() const { return name.rfind("test_", 0) == 0; }

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
