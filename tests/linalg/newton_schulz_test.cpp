#include "decorr/linalg/newton_schulz.h"

#include "decorr/core/random.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace decorr::linalg {
namespace {

const at::TensorOptions kFloat64 = at::TensorOptions().dtype(at::kDouble);

struct Spectrum {
  at::Tensor vectors, values;

  at::Tensor power(double exponent) const {
    return at::matmul(vectors * values.pow(exponent), vectors.t());
  }
};

// Eigenvalues from `scale` to `scale · condition` in a random basis.
Spectrum spectrum(std::int64_t n, double condition, double scale = 1) {
  const at::Tensor random = RandomStream(3, "basis").normal({n, n}, kFloat64);
  return {std::get<0>(at::linalg_qr(random)),
          at::logspace(0, std::log10(condition), n, 10, kFloat64) * scale};
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

TEST(NewtonSchulz, AgreesWithTheEigendecomposition) {
  for (const std::int64_t n : {1, 2, 17, 64})
    for (const double condition : {1.0, 10.0, 1e4, 1e8})
      for (const double scale : {1e-6, 1.0, 1e6}) {
        SCOPED_TRACE(testing::Message() << n << ", condition " << condition << ", " << scale);
        const Spectrum exact = spectrum(n, condition, scale);
        const at::Tensor a = exact.power(1);
        const at::Tensor symmetric = (a + a.t()) / 2;
        const Roots roots = newton_schulz(symmetric);
        // An inverse root magnifies rounding by the condition.
        const double tolerance = 1e-14 * condition + 1e-12;
        EXPECT_LE(relative_error(roots.root, exact.power(0.5)), tolerance);
        EXPECT_LE(relative_error(roots.inverse_root, exact.power(-0.5)), tolerance);
        EXPECT_LE(roots.residual, tolerance);
      }
}

TEST(NewtonSchulz, AgreesWithTheEigendecompositionInFloat32) {
  for (const double condition : {1.0, 10.0, 1e3}) {
    const Spectrum exact = spectrum(64, condition);
    const Roots roots = newton_schulz(exact.power(1).to(at::kFloat));
    const double tolerance = 1e-6 * condition + 1e-5;
    EXPECT_LE(relative_error(roots.root, exact.power(0.5)), tolerance) << condition;
    EXPECT_LE(relative_error(roots.inverse_root, exact.power(-0.5)), tolerance) << condition;
    EXPECT_LE(roots.residual, tolerance) << condition;
  }
}

TEST(NewtonSchulz, TheResidualSaysHowFarTheRootsAreFromInverses) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble})
    for (const double condition : {10.0, 1e4}) {
      const Roots roots = newton_schulz(spectrum(32, condition).power(1).to(type));
      const at::Tensor product =
          at::matmul(roots.inverse_root.to(at::kDouble), roots.root.to(at::kDouble));
      const double defect =
          (at::eye(32, kFloat64) - product).norm().item<double>() / std::sqrt(32.0);
      const double rounding = type == at::kFloat ? 1e-6 : 1e-14;
      EXPECT_NEAR(roots.residual, defect, rounding * condition);
    }
}

TEST(NewtonSchulz, TakesAsManyIterationsAsItSays) {
  for (const double condition : {10.0, 1e3, 1e6}) {
    const int iterations = newton_schulz(spectrum(64, condition).power(1)).iterations;
    // The scale is a bound of λ_max, a few times as large.
    const double expected = std::log(condition) / std::log(9.0 / 4) + 5;
    EXPECT_LE(iterations, expected + 4) << condition;
    EXPECT_GE(iterations, expected - 4) << condition;
  }
}

TEST(NewtonSchulz, CostsMatrixProductsAlone) {
  const at::Tensor a = spectrum(64, 100).power(1);
  const FlopCounter flops;
  const Roots roots = newton_schulz(a);
  // Three products an iteration, and one to see that the last was enough.
  EXPECT_EQ(flops.count(),
            2ULL * 64 * 64 * 64 * (3ULL * static_cast<unsigned>(roots.iterations) + 1));
}

TEST(NewtonSchulz, WhatHasNoRootIsReportedAsNotConverged) {
  at::Tensor bad = spectrum(8, 10).power(1);
  bad[3][3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(newton_schulz(bad).residual < 0.1);
  EXPECT_FALSE(newton_schulz(at::zeros({8, 8}, kFloat64)).residual < 0.1);
  Spectrum indefinite = spectrum(8, 10);
  indefinite.values[0] = -1;
  EXPECT_FALSE(newton_schulz(indefinite.power(1)).residual < 0.1);
}

TEST(NewtonSchulz, RefusesWhatIsNotSquare) {
  for (const at::Tensor& bad : {at::zeros({3, 4}), at::zeros({3}), at::zeros({0, 0})}) {
    try {
      newton_schulz(bad);
      FAIL() << "accepted";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(),
                  testing::HasSubstr("[newton_schulz] expected a square matrix, got ["));
    }
  }
}

}  // namespace
}  // namespace decorr::linalg
