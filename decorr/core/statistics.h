#pragma once

#include <cstddef>
#include <vector>

namespace decorr {

/// What several measurements of one quantity say about it, in its unit.
struct Estimate {
  std::size_t count = 0;      ///< measurements n
  double mean = 0;            ///< arithmetic mean; NaN without measurements
  double standard_error = 0;  ///< s/√n with the sample standard deviation s; NaN for n < 2
  double half_width = 0;      ///< of the 95 % confidence interval mean ± t·s/√n; NaN for n < 2
};

/// Mean, standard error and 95 % confidence interval of independent measurements, by Student's t
/// distribution of n - 1 degrees of freedom. Any value that is not finite makes all three NaN.
Estimate estimate(const std::vector<double>& values);

/// The number that |t| exceeds with probability 5 %, t of Student's distribution with `freedom`
/// >= 1 degrees of freedom; within 0.001. Throws `std::invalid_argument` for 0.
double student_quantile(std::size_t freedom);

}  // namespace decorr
