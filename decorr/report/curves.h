#pragma once

#include "decorr/core/statistics.h"
#include "decorr/report/groups.h"

#include <cstdint>
#include <string>
#include <vector>

namespace decorr::report {

/// A number over epochs, averaged over the seeds of a group.
struct Curve {
  struct Point {
    std::int64_t epoch = 0;
    double seconds = 0;  ///< mean training seconds at the end of that epoch
    Estimate value;      ///< over the seeds that have it
  };
  std::vector<Point> points;  ///< epochs that one run or more has
};

/// The mean of `metric` over the runs of `group` that have reached each epoch. A run without the
/// value there (it is not in its metrics or was not finite) does not count.
Curve mean_curve(const Group& group, Metric metric);

/// The same for a number of the layer at `path`.
Curve mean_curve(const Group& group, const std::string& path, LayerMeasure measure);

/// Paths of the layers of a group in the order of the model.
std::vector<std::string> layer_paths(const Group& group);

/// The highest point of the mean curve of `metric` among the epochs that the most seeds have: where
/// only the lucky ones went on, their mean is not the group's. NaN if the curve has no point.
double highest_mean(const Group& group, Metric metric);

}  // namespace decorr::report
