#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

/// What every benchmark times with: those of `decorr bench` and those in benchmarks/.
namespace decorr::bench {

/// Wall-clock seconds that `work()` takes.
template <typename Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Middle and width of repeated measurements, in their unit: neither is moved by a few that
/// something else on the machine has disturbed.
struct Summary {
  double median = 0;
  double spread = 0;  ///< half of the interquartile range
};

/// The summary of `values`, at least one, by linear interpolation between neighbours in their
/// order.
inline Summary summarize(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {quantile(0.5), (quantile(0.75) - quantile(0.25)) / 2};
}

/// The least of `count` >= 1 measurements in seconds, after one that warms up.
template <typename Work>
double least_seconds(int count, const Work& work) {
  work();
  double least = seconds(work);
  for (int i = 1; i < count; ++i) least = std::min(least, seconds(work));
  return least;
}

}  // namespace decorr::bench
