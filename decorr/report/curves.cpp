#include "decorr/report/curves.h"

#include <algorithm>
#include <cmath>

namespace decorr::report {
namespace {

// `value_at` gives the number that is averaged for one epoch of one run.
template <typename ValueAt>
Curve mean_of(const Group& group, ValueAt value_at) {
  Curve curve;
  for (std::size_t i = 0; i < group.epochs(); ++i) {
    std::vector<double> values, seconds;
    for (const Run& run : group.runs) {
      if (i >= run.epochs.size()) continue;
      const double value = value_at(run.epochs[i]);
      if (!std::isfinite(value)) continue;
      values.push_back(value);
      seconds.push_back(run.epochs[i].seconds);
    }
    if (!values.empty())
      curve.points.push_back(
          {static_cast<std::int64_t>(i) + 1, estimate(seconds).mean, estimate(values)});
  }
  return curve;
}

}  // namespace

Curve mean_curve(const Group& group, Metric metric) {
  return mean_of(group, [&](const Epoch& epoch) { return epoch.values[metric]; });
}

Curve mean_curve(const Group& group, const std::string& path, LayerMeasure measure) {
  return mean_of(group, [&](const Epoch& epoch) {
    for (const LayerState& layer : epoch.layers)
      if (layer.path == path) return layer.values[measure];
    return kUnknown;
  });
}

std::vector<std::string> layer_paths(const Group& group) {
  std::vector<std::string> paths;
  for (const Run& run : group.runs)
    if (!run.epochs.empty())
      for (const LayerState& layer : run.epochs.back().layers)
        if (std::find(paths.begin(), paths.end(), layer.path) == paths.end())
          paths.push_back(layer.path);
  return paths;
}

double highest_mean(const Group& group, Metric metric) {
  const Curve curve = mean_curve(group, metric);
  std::size_t most = 0;
  for (const Curve::Point& point : curve.points) most = std::max(most, point.value.count);
  double highest = kUnknown;
  for (const Curve::Point& point : curve.points)
    if (point.value.count == most) highest = std::fmax(highest, point.value.mean);
  return highest;
}

}  // namespace decorr::report
