// Which accuracies a report asks for.
#include "decorr/core/check.h"
#include "decorr/report/curves.h"
#include "decorr/report/time_to_accuracy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>

namespace decorr::report {
namespace {

constexpr std::size_t kMostRound = 5;

// The highest multiples of `step`, in ten-thousandths, in (low, high].
std::vector<double> multiples(double low, double high, int step) {
  std::vector<double> result;
  const auto top = static_cast<int>(std::floor(high * 1e4 + 1e-6));
  for (int value = top - top % step; value > low * 1e4 && result.size() < kMostRound; value -= step)
    result.push_back(value / 1e4);
  return result;
}

// The coarsest round numbers of which there are enough.
std::vector<double> round_accuracies(double low, double high) {
  constexpr std::size_t kEnough = 3;
  constexpr std::array<int, 7> kSteps = {1000, 500, 200, 100, 50, 20, 10};
  for (const int step : kSteps)
    if (auto result = multiples(low, high, step); result.size() >= kEnough) return result;
  return multiples(low, high, kSteps.back());
}

}  // namespace

std::vector<Target> parse_targets(const std::vector<std::string>& texts) {
  std::vector<Target> result;
  for (const std::string& text : texts) {
    char* end = nullptr;
    double accuracy = std::strtod(text.c_str(), &end);
    const bool any = end != text.c_str();
    if (*end == '%') {
      accuracy /= 100;
      ++end;
    }
    check_argument(any && *end == '\0' && accuracy > 0 && accuracy <= 1,
                   "no accuracy: \"{}\", --target, give fractions or percentages: 0.86,90%", text);
    result.push_back({accuracy, ""});
  }
  return result;
}

std::vector<Target> default_targets(const std::vector<Group>& groups) {
  std::set<const Group*> compared;
  for (const Group& group : groups)
    if (const Group* baseline = baseline_of(group, groups)) compared.insert(baseline);
  double low = kUnknown, high = kUnknown;
  std::vector<Target> result;
  for (const Group& group : groups) {
    const Curve curve = mean_curve(group, kTestAccuracy);
    if (curve.points.empty()) continue;
    const double best = highest_mean(group, kTestAccuracy);
    low = std::fmin(low, curve.points.front().value.mean);
    high = std::fmax(high, best);
    if (compared.empty() ? group.is_plain() : compared.count(&group) > 0)
      result.push_back({best, group.name});
  }
  if (std::isfinite(high))
    for (const double accuracy : round_accuracies(low, high)) result.push_back({accuracy, ""});
  std::stable_sort(result.begin(), result.end(),
                   [](const Target& a, const Target& b) { return a.accuracy < b.accuracy; });
  return result;
}

}  // namespace decorr::report
