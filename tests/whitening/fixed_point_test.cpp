// What the rules converge to, on Gaussians whose covariance is known.
#include "decorr/analysis/correlation.h"
#include "decorr/linalg/norm.h"

#include <gtest/gtest.h>

#include "tests/whitening/support.h"

namespace decorr::whitening {
namespace {

using analysis::off_diagonal_energy;

// The true covariance of u.
at::Tensor output_covariance(const at::Tensor& matrix, const at::Tensor& covariance) {
  return at::matmul(at::matmul(matrix, covariance), matrix.t());
}

// Distance of a covariance from a multiple of the identity, relative: Σ(C - c̄I)² / Σ(c̄I)².
double distance_from_white(const at::Tensor& covariance) {
  const double scale = covariance.diagonal().mean().item<double>();
  const at::Tensor rest = covariance / scale - at::eye(covariance.size(0), kFloat64);
  return rest.square().sum().item<double>() / static_cast<double>(covariance.size(0));
}

void train(Decorrelator& decorrelator, const CorrelatedGaussian& data, int updates) {
  for (int i = 0; i < updates; ++i)
    ASSERT_EQ(feed(decorrelator, data.sample(256, 1000 + static_cast<std::uint64_t>(i))).outcome,
              UpdateReport::Outcome::kApplied);
}

DecorrelatorOptions undamped(const std::string& method) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.damping = 0;
  options.lr = 0.03;
  options.sample_fraction = 1;
  // η falls, so that the fixed point itself is seen and not the noise of the last samples.
  options.schedule.kind = "cosine";
  options.schedule.total = 3000;
  return options;
}

TEST(FixedPoint, DecorrelatingRulesReachOnePercentOnCorrelatedData) {
  const CorrelatedGaussian data(32, 100);
  ASSERT_GT(off_diagonal_energy(data.covariance()), 0.5);
  for (const char* method : {"norm-preserving", "copi"}) {
    Decorrelator decorrelator = make_decorrelator(32, undamped(method));
    train(decorrelator, data, 3000);
    const at::Tensor c = output_covariance(decorrelator->matrix(), data.covariance());
    EXPECT_LT(off_diagonal_energy(c), 0.01) << method;
    if (std::string(method) == "norm-preserving") {
      EXPECT_LT(distance_from_white(c), 0.02);
    }
  }
}

TEST(FixedPoint, DampingStopsAtTheDampedTarget) {
  const CorrelatedGaussian data(32, 1000);
  DecorrelatorOptions options = undamped("norm-preserving");
  options.damping = 0.3;
  Decorrelator decorrelator = make_decorrelator(32, options);
  train(decorrelator, data, 3000);
  const at::Tensor covariance = data.covariance();
  const double mean_variance = covariance.diagonal().mean().item<double>();
  const at::Tensor target = covariance + options.damping * mean_variance * at::eye(32, kFloat64);
  EXPECT_LT(distance_from_white(output_covariance(decorrelator->matrix(), target)), 0.03);
  EXPECT_GT(distance_from_white(output_covariance(decorrelator->matrix(), covariance)), 0.3);
}

TEST(FixedPoint, StandardizeReachesUnitVariance) {
  const CorrelatedGaussian data(32, 100);
  DecorrelatorOptions options = undamped("standardize");
  options.mean_momentum = 0.01;
  Decorrelator decorrelator = make_decorrelator(32, options);
  train(decorrelator, data, 1000);
  const at::Tensor variances = data.covariance().diagonal() * decorrelator->matrix().square();
  // A running variance of weight m over samples of 256 has relative variance 2/256·m/(2-m); six of
  // its standard errors for each of 32 features.
  const double standard_error = std::sqrt(2.0 / 256 * 0.01 / 1.99);
  EXPECT_LE((variances - 1).abs().max().item<double>(), 6 * standard_error);
}

TEST(FixedPoint, ConvergesFromARandomOrthogonalStart) {
  // The product on the wrong side, R ← g·R·(I - ηC), is what the authors' dense layer computes;
  // from R ≠ I it does not decorrelate.
  const CorrelatedGaussian data(32, 100);
  const at::Tensor start = std::get<0>(at::linalg_qr(normal({32, 32}, 77)));
  Decorrelator decorrelator = make_decorrelator(32, undamped("norm-preserving"));
  at::Tensor matrix = decorrelator->matrix();
  matrix.copy_(start);
  train(decorrelator, data, 3000);

  at::Tensor wrong = start.clone();
  for (int i = 0; i < 3000; ++i) {
    const at::Tensor x = data.sample(256, 1000 + static_cast<std::uint64_t>(i));
    const at::Tensor u = at::matmul(x, wrong.t());
    const double eta = 0.03 * decorrelator->options().schedule.factor(i);
    const at::Tensor c = at::matmul(u.t(), u) / u.square().sum() * 32;
    const double gain = std::sqrt((x.square().sum() / u.square().sum()).item<double>());
    wrong = gain * (wrong - eta * at::matmul(wrong, c));
  }
  EXPECT_LT(off_diagonal_energy(output_covariance(matrix, data.covariance())), 0.01);
  EXPECT_GT(off_diagonal_energy(output_covariance(wrong, data.covariance())), 0.1);
}

TEST(FixedPoint, ScaleFreeTrajectoryDoesNotDependOnTheInputsScale) {
  const CorrelatedGaussian data(16, 100);
  for (const char* method : {"norm-preserving", "copi"}) {
    DecorrelatorOptions options;
    options.update_every = 1;
    options.method = method;
    options.lr = 0.01;
    options.damping = 0.5;
    Decorrelator reference = make_decorrelator(16, options);
    for (const double scale : {1e-3, 1e3}) {
      Decorrelator scaled = make_decorrelator(16, options);
      reference = make_decorrelator(16, options);
      for (std::uint64_t i = 0; i < 200; ++i) {
        const at::Tensor x = data.sample(64, i) + 3;
        feed(reference, x);
        feed(scaled, x * scale);
        ASSERT_LE(max_error(scaled->matrix(), reference->matrix()),
                  1e-9 * reference->matrix().abs().max().item<double>())
            << method << " at scale " << scale << ", update " << i;
      }
      EXPECT_GT(max_error(scaled->matrix(), at::eye(16, kFloat64)), 0.1);
    }
  }
}

}  // namespace
}  // namespace decorr::whitening
