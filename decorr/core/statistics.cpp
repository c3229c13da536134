#include "decorr/core/statistics.h"

#include "decorr/core/check.h"

#include <array>
#include <cmath>
#include <limits>

namespace decorr {
namespace {

// The quantile for 1 … 30 degrees of freedom, as any table of Student's distribution has them.
constexpr std::array<double, 30> kQuantiles = {
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010,  2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796,  2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423};

}  // namespace

double student_quantile(std::size_t freedom) {
  check_argument(freedom >= 1, "[student_quantile] freedom must be at least 1, got 0");
  if (freedom <= kQuantiles.size()) return kQuantiles[freedom - 1];
  // The first terms of the expansion around the normal distribution's quantile z.
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(freedom);
  return z + (z * z * z + z) / (4 * n) +
         (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

Estimate estimate(const std::vector<double>& values) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  Estimate result{values.size(), kUnknown, kUnknown, kUnknown};
  if (values.empty()) return result;
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  if (!std::isfinite(sum)) return result;
  result.mean = sum / count;
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_error = std::sqrt(squares / (count - 1) / count);
  result.half_width = student_quantile(values.size() - 1) * result.standard_error;
  return result;
}

}  // namespace decorr
