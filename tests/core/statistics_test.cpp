#include "decorr/core/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace decorr {
namespace {

TEST(Statistics, EstimatesMeanErrorAndInterval) {
  const Estimate result = estimate({1, 2, 6});
  EXPECT_EQ(result.count, 3U);
  EXPECT_DOUBLE_EQ(result.mean, 3);
  EXPECT_NEAR(result.standard_error, std::sqrt(7.0 / 3.0), 1e-12);  // s² = (4 + 1 + 9) / 2
  EXPECT_NEAR(result.half_width, 4.3027 * std::sqrt(7.0 / 3.0), 1e-12);
}

TEST(Statistics, OneValueHasNoError) {
  const Estimate result = estimate({4});
  EXPECT_EQ(result.mean, 4);
  EXPECT_TRUE(std::isnan(result.standard_error));
  EXPECT_TRUE(std::isnan(result.half_width));
}

TEST(Statistics, NothingAndWhatIsNotFiniteAreUnknown) {
  EXPECT_EQ(estimate({}).count, 0U);
  EXPECT_TRUE(std::isnan(estimate({}).mean));
  const Estimate result = estimate({1, std::numeric_limits<double>::quiet_NaN(), 2});
  EXPECT_TRUE(std::isnan(result.mean));
  EXPECT_TRUE(std::isnan(result.half_width));
}

// P(|t| > q) by integrating the density c·(1 + t²/n)^(-(n+1)/2), normalized numerically.
TEST(Statistics, QuantilesLeaveFivePercentOutside) {
  for (const std::size_t freedom : {2, 3, 5, 10, 30, 31, 40, 100, 1000}) {
    const double n = static_cast<double>(freedom), q = student_quantile(freedom);
    // t = √n·tan(a) makes the density cos^(n-1)(a) da.
    const auto mass = [&](double end) {
      constexpr int kSteps = 20000;
      double sum = 0;
      for (int i = 0; i < kSteps; ++i) sum += std::pow(std::cos((i + 0.5) / kSteps * end), n - 1);
      return sum * end / kSteps;
    };
    EXPECT_NEAR(mass(std::atan(q / std::sqrt(n))) / mass(std::acos(-1.0) / 2), 0.95, 1e-4)
        << freedom;
  }
  EXPECT_THROW(student_quantile(0), std::invalid_argument);
}

}  // namespace
}  // namespace decorr
