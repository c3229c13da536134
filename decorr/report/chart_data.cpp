#include "decorr/report/chart_data.h"

#include "decorr/core/check.h"
#include "decorr/report/curves.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace decorr::report {
namespace {

using Json = nlohmann::ordered_json;

// What a chart can show of a number, in a form that is short in JSON.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.7g}", value).c_str(), nullptr);
}

Json curve_data(const Curve& curve) {
  Json epoch = Json::array(), seconds = epoch, mean = epoch, error = epoch, half = epoch,
       count = epoch;
  for (const Curve::Point& point : curve.points) {
    epoch.push_back(point.epoch);
    seconds.push_back(number(point.seconds));
    mean.push_back(number(point.value.mean));
    error.push_back(number(point.value.standard_error));
    half.push_back(number(point.value.half_width));
    count.push_back(point.value.count);
  }
  return {{"epoch", epoch}, {"seconds", seconds}, {"mean", mean},
          {"error", error}, {"half", half},       {"count", count}};
}

Json run_data(const Run& run) {
  Json data = {{"seed", run.seed}, {"seconds", Json::array()}};
  for (const Epoch& epoch : run.epochs) data["seconds"].push_back(number(epoch.seconds));
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    Json values = Json::array();
    for (const Epoch& epoch : run.epochs) values.push_back(number(epoch.values[i]));
    data[kMetrics[i].key] = values;
  }
  return data;
}

Json group_data(const Group& group) {
  Json data = {{"name", group.name},
               {"plain", group.is_plain()},
               {"curves", Json::object()},
               {"runs", Json::array()},
               {"layers", Json::array()}};
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    const Curve curve = mean_curve(group, static_cast<Metric>(i));
    if (!curve.points.empty()) data["curves"][kMetrics[i].key] = curve_data(curve);
  }
  for (const Run& run : group.runs) data["runs"].push_back(run_data(run));
  for (const std::string& path : layer_paths(group)) {
    Json layer = {{"path", path}};
    for (std::size_t i = 0; i < kLayerMeasures.size(); ++i) {
      const Curve curve = mean_curve(group, path, static_cast<LayerMeasure>(i));
      if (!curve.points.empty()) layer[kLayerMeasures[i].key] = curve_data(curve);
    }
    data["layers"].push_back(layer);
  }
  return data;
}

}  // namespace

Json chart_data(const Report& report) {
  Json data = {{"metrics", Json::array()}, {"measures", Json::array()}, {"groups", Json::array()}};
  for (const Group& group : report.groups) data["groups"].push_back(group_data(group));
  for (const Measure& metric : kMetrics)
    if (std::any_of(data["groups"].begin(), data["groups"].end(),
                    [&](const Json& group) { return group["curves"].contains(metric.key); }))
      data["metrics"].push_back({{"key", metric.key}, {"title", metric.title}});
  for (const Measure& measure : kLayerMeasures)
    data["measures"].push_back({{"key", measure.key}, {"title", measure.title}});
  return data;
}

}  // namespace decorr::report
