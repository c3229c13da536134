// Every rule against its formula, written with n×n matrices in float64.
#include "decorr/linalg/norm.h"
#include "decorr/whitening/lateral.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/whitening/method_support.h"
#include <functional>
#include <limits>

namespace decorr::whitening {
namespace {

using Outcome = UpdateReport::Outcome;

constexpr std::int64_t kFeatures = 12;

at::Tensor identity() { return at::eye(kFeatures, kFloat64); }

at::Tensor diagonal_part(const at::Tensor& c) { return at::diag(c.diagonal()); }

// All rows, small steps.
DecorrelatorOptions options_for(const std::string& method) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.sample_fraction = 1;
  options.max_samples = 0;
  options.lr = 1e-3;
  options.damping = 0;
  return options;
}

// What the formula sees in update number `index` of a decorrelator from make_decorrelator().
struct Seen {
  at::Tensor x;       // centred
  at::Tensor damped;  // with the damping noise
};

class Observer {
 public:
  explicit Observer(double damping) : damping_(damping) {}

  Seen see(const at::Tensor& rows, std::uint64_t index) {
    mean_ = index == 0 ? rows.mean(0) : mean_ * 0.9 + 0.1 * rows.mean(0);
    const at::Tensor x = rows - mean_;
    const at::Tensor noise = RandomStream(5, "test").at(index).at(1).signs(x.sizes(), kFloat64);
    return {x, x + noise * (x.square().mean() * damping_).sqrt()};
  }

 private:
  double damping_;
  at::Tensor mean_;
};

// One update of R, or of what R is computed from: (R, C) -> R'.
using Formula = std::function<at::Tensor(const at::Tensor& r, const at::Tensor& c, double eta)>;

// Compares with R ← g·formula(R, C) over several updates, for all ways to scale C and R.
void expect_agreement(const DecorrelatorOptions& base, const Formula& formula) {
  const CorrelatedGaussian data(kFeatures, 30);
  for (const bool scale_free : {true, false})
    for (const char* gain : {"energy", "none"})
      for (const double damping : {0.0, 0.5}) {
        DecorrelatorOptions options = base;
        options.scale_free = scale_free;
        options.gain = gain;
        options.damping = damping;
        Decorrelator decorrelator = make_decorrelator(kFeatures, options);
        Observer observer(damping);
        at::Tensor r = identity();
        for (std::uint64_t i = 0; i < 6; ++i) {
          const at::Tensor rows = data.sample(40, i) + 2;
          const at::Tensor x = observer.see(rows, i).damped;
          const at::Tensor u = at::matmul(x, r.t());
          at::Tensor c = at::matmul(u.t(), u) / 40;
          if (scale_free) c = c / u.square().mean();
          const double g = options.gain == "energy"
                               ? std::sqrt((x.square().sum() / u.square().sum()).item<double>())
                               : 1.0;
          r = g * formula(r, c, options.lr);
          const UpdateReport report = feed(decorrelator, rows);
          ASSERT_EQ(report.outcome, Outcome::kApplied) << report.reason;
          ASSERT_FALSE(report.shortened);
          ASSERT_LE(max_error(decorrelator->matrix(), r), 1e-11)
              << options.method << ", gain " << gain << ", scale_free " << scale_free
              << ", damping " << damping << ", update " << i;
        }
        EXPECT_GT(max_error(r, identity()), 1e-3);
      }
}

TEST(Rules, NormPreservingAgreesWithTheFormula) {
  expect_agreement(options_for("norm-preserving"),
                   [](const at::Tensor& r, const at::Tensor& c, double eta) {
                     return at::matmul(identity() - eta * c, r);
                   });
}

TEST(Rules, CopiAgreesWithTheFormula) {
  expect_agreement(options_for("copi"), [](const at::Tensor& r, const at::Tensor& c, double eta) {
    return at::matmul(identity() - eta * (c - diagonal_part(c)), r);
  });
}

TEST(Rules, DbpAgreesWithTheFormula) {
  for (const double kappa : {0.0, 0.3, 0.5, 1.0}) {
    DecorrelatorOptions options = options_for("dbp");
    options.kappa = kappa;
    expect_agreement(options, [=](const at::Tensor& r, const at::Tensor& c, double eta) {
      const at::Tensor change =
          (1 - kappa) * (c - diagonal_part(c)) + kappa * diagonal_part(c - identity());
      return r - eta * at::matmul(change, r);
    });
  }
}

TEST(Rules, RelativeGradientAgreesWithTheFormula) {
  expect_agreement(options_for("relative-gradient"),
                   [](const at::Tensor& r, const at::Tensor& c, double eta) {
                     return at::matmul(identity() - eta * (c - identity()), r);
                   });
}

TEST(Rules, RelativeGradientAndDbpFollowNormPreservingAtOtherRates) {
  constexpr double kRate = 0.02;
  const CorrelatedGaussian data(kFeatures, 30);
  const auto learnt = [&](const std::string& method, double rate) {
    DecorrelatorOptions options = options_for(method);
    options.lr = rate;
    options.damping = 0.3;
    Decorrelator decorrelator = make_decorrelator(kFeatures, options);
    for (std::uint64_t i = 0; i < 50; ++i) feed(decorrelator, data.sample(40, i));
    EXPECT_EQ(decorrelator->shortened(), 0);
    return decorrelator->matrix() / decorrelator->matrix().norm();
  };
  const at::Tensor reference = learnt("norm-preserving", kRate / (1 + kRate));
  EXPECT_LE(max_error(learnt("relative-gradient", kRate), reference), 1e-12);
  EXPECT_LE(max_error(learnt("dbp", 2 * kRate), reference), 1e-12);
  EXPECT_GT(max_error(learnt("norm-preserving", kRate), reference), 1e-6);
}

// A rate far too high, with factors D that would turn features around.
TEST(Rules, TheGuardBoundsStepsThatScaleFeatures) {
  const CorrelatedGaussian data(kFeatures, 1e4);
  for (const char* method : {"dbp", "relative-gradient"})
    for (const double kappa : {0.0, 0.5, 0.9, 1.0})
      for (const bool guard : {true, false}) {
        SCOPED_TRACE(testing::Message() << method << kappa << guard);
        DecorrelatorOptions options = options_for(method);
        options.kappa = kappa;
        options.lr = 10;
        options.guard = guard;
        options.gain = guard ? "energy" : "none";
        Decorrelator decorrelator = make_decorrelator(kFeatures, options);
        double largest = 0;
        for (std::uint64_t i = 0; i < 100 && largest < 1e9; ++i) {
          const UpdateReport report = feed(decorrelator, data.sample(64, i));
          ASSERT_TRUE(report.outcome == Outcome::kApplied || !guard) << report.reason;
          largest = std::max(largest, decorrelator->matrix_norm());
        }
        if (guard) {
          EXPECT_EQ(decorrelator->shortened(), 100);
          EXPECT_LT(largest, 1e3);
          EXPECT_GT(at::linalg_det(decorrelator->matrix()).item<double>(), 0);
        } else {
          EXPECT_GE(largest, 1e9) << "without the guard it should diverge";
        }
      }
}

// u after `steps` explicit steps of du/dt = x - L·u from 0, one column a sample.
at::Tensor settle(const at::Tensor& lateral, const at::Tensor& x, std::int64_t steps, double dt) {
  at::Tensor u = at::zeros_like(x);
  for (std::int64_t i = 0; i < steps; ++i) u = u + dt * (x - at::matmul(lateral, u));
  return u;
}

double largest_eigenvalue(const at::Tensor& symmetric) {
  return at::linalg_eigvalsh(symmetric).max().item<double>();
}

TEST(Rules, LateralAgreesWithTheFormula) {
  const CorrelatedGaussian data(kFeatures, 30);
  for (const std::int64_t settling : {0, 1, 2, 7})
    for (const bool unit_variance : {false, true})
      for (const char* gain : {"energy", "none"}) {
        DecorrelatorOptions options = options_for("lateral");
        options.settling = settling;
        options.unit_variance = unit_variance;
        options.gain = gain;
        Decorrelator decorrelator = make_decorrelator(kFeatures, options);
        Observer observer(0);
        at::Tensor lateral = identity();
        for (std::uint64_t i = 0; i < 6; ++i) {
          const at::Tensor rows = data.sample(40, i) + 2;
          const at::Tensor x = observer.see(rows, i).x;
          const at::Tensor u = at::matmul(x, decorrelator->matrix().t());
          at::Tensor c = at::matmul(u.t(), u) / 40 / u.square().mean();
          const double g = options.gain == "energy"
                               ? std::sqrt((x.square().sum() / u.square().sum()).item<double>())
                               : 1.0;
          const at::Tensor pull = unit_variance ? identity() : diagonal_part(c);
          lateral = (lateral + options.lr * (c - pull)) / std::clamp(g, 0.5, 2.0);
          const UpdateReport report = feed(decorrelator, rows);
          ASSERT_EQ(report.outcome, Outcome::kApplied) << report.reason;
          ASSERT_FALSE(report.shortened);
          ASSERT_LE(max_error(decorrelator->state(), lateral), 1e-11) << settling;
          const at::Tensor expected =
              settling == 0 ? at::linalg_inv(lateral)
                            : settle(lateral, identity(), settling, settling_step(lateral));
          ASSERT_LE(max_error(decorrelator->matrix(), expected), 1e-11) << settling;
        }
        EXPECT_GT(max_error(lateral, identity()), 1e-3);
      }
}

// A symmetric matrix with eigenvalues from 0.2 to 5.
at::Tensor positive_definite() { return CorrelatedGaussian(kFeatures, 25, 7).covariance() / 5; }

TEST(Lateral, SettledMatrixIsWhatTheExplicitStepsComputeOnABatch) {
  const at::Tensor lateral = positive_definite();
  const double dt = settling_step(lateral);
  const at::Tensor batch = normal({30, kFeatures}, 1);
  for (const std::int64_t steps : {1, 2, 3, 4, 5, 6, 7, 8, 13, 64, 100, 1023}) {
    const at::Tensor expected = settle(lateral, batch.t(), steps, dt).t();
    const at::Tensor u = at::matmul(batch, settled_matrix(lateral, steps).t());
    EXPECT_LE(max_error(u, expected), 1e-11) << steps;
  }
}

TEST(Lateral, SettlingConvergesToTheExactSolution) {
  const at::Tensor lateral = positive_definite();
  const at::Tensor exact = at::linalg_inv(lateral);
  EXPECT_LE(max_error(settled_matrix(lateral, 0), exact), 1e-12);
  // The slowest direction closes in by 1 - λ_min/λ_max = 0.96 a step.
  double previous = std::numeric_limits<double>::infinity();
  for (const std::int64_t steps : {1, 10, 50, 100, 200}) {
    const double error = max_error(settled_matrix(lateral, steps), exact);
    EXPECT_LT(error, previous) << steps;
    EXPECT_LE(error, 1.001 * 5 * std::pow(0.96, static_cast<double>(steps))) << steps;
    previous = error;
  }
  EXPECT_LE(max_error(settled_matrix(lateral, 1000), exact), 1e-12);
}

TEST(Lateral, SettlingDivergesBeyondTwoOverTheLargestEigenvalue) {
  const at::Tensor lateral = positive_definite();
  const double limit = 2 / largest_eigenvalue(lateral);
  EXPECT_GE(settling_step(lateral), limit / 2 * (1 - 1e-12));
  EXPECT_LE(settling_step(lateral), limit / 2 * 1.05);
  const at::Tensor x = normal({kFeatures, 5}, 1);
  const at::Tensor exact = at::matmul(at::linalg_inv(lateral), x);
  EXPECT_LE(max_error(settle(lateral, x, 3000, 0.99 * limit), exact), 1e-9);
  EXPECT_GE(max_error(settle(lateral, x, 3000, 1.01 * limit), exact), 1e9);
}

TEST(Lateral, StaysPositiveDefiniteUnderHostileData) {
  // Features that all agree, that oppose each other, of wild sizes, at a rate far too high.
  const at::Tensor same = at::ones({kFeatures}, kFloat64);
  const at::Tensor opposed = same * at::pow(-1, at::arange(kFeatures, kFloat64));
  const at::Tensor wild = at::logspace(-4, 4, kFeatures, 10, kFloat64);
  const std::vector<at::Tensor> directions{same, opposed, wild, at::flip(wild, 0)};
  for (const bool unit_variance : {false, true})
    for (const bool scale_free : {true, false})
      for (const double damping : {0.0, 1.0}) {
        SCOPED_TRACE(testing::Message() << unit_variance << scale_free << damping);
        DecorrelatorOptions options = options_for("lateral");
        options.lr = 10;
        options.unit_variance = unit_variance;
        options.scale_free = scale_free;
        options.damping = damping;
        Decorrelator decorrelator = make_decorrelator(kFeatures, options);
        for (std::uint64_t i = 0; i < 200; ++i) {
          const at::Tensor& direction = directions[(i / 5) % directions.size()];
          const at::Tensor rows =
              normal({40, 1}, i) * direction + 0.01 * normal({40, kFeatures}, 1000 + i);
          const UpdateReport report = feed(decorrelator, rows);
          ASSERT_EQ(report.outcome, Outcome::kApplied) << i << report.reason;
          const at::Tensor lateral = decorrelator->state();
          const at::Tensor eigenvalues = at::linalg_eigvalsh(lateral);
          ASSERT_GT(eigenvalues.min().item<double>(), 0) << i;
          ASSERT_LE(max_error(lateral, lateral.t()), 1e-12 * eigenvalues.max().item<double>()) << i;
        }
        EXPECT_GT(decorrelator->shortened(), 0);
      }
}

TEST(Lateral, ABlockWithoutActivityIsLeftAloneAndNothingIsShortened) {
  DecorrelatorOptions options = options_for("lateral");
  options.structure = "block(6)";
  Decorrelator decorrelator = make_decorrelator(kFeatures, options);
  at::Tensor rows = normal({40, kFeatures}, 1);
  rows.narrow(1, 0, 6).zero_();
  const UpdateReport report = feed(decorrelator, rows);
  EXPECT_EQ(report.outcome, Outcome::kApplied);
  EXPECT_FALSE(report.shortened);
  EXPECT_EQ(report.eta, options.lr);
  const auto blocks = matrices(*decorrelator);
  EXPECT_TRUE(at::equal(blocks[0], at::eye(6, kFloat64)));
  EXPECT_GT(max_error(blocks[1], at::eye(6, kFloat64)), 1e-5);
}

// Whether R, a whitening matrix of `damped` but for the factor c, has the form that its method
// says; together with R·Σ·Rᵀ = c²I that leaves one matrix.
void expect_form(const std::string& method, const at::Tensor& r) {
  const double tolerance = 1e-10 * r.abs().max().item<double>();
  if (method == "zca" || method == "newton-schulz") {
    EXPECT_LE(max_error(r, r.t()), tolerance);
    EXPECT_GT(at::linalg_eigvalsh(r).min().item<double>(), 0);
  } else if (method == "cholesky") {
    EXPECT_LE(max_error(r, r.tril()), 0);
    EXPECT_GT(r.diagonal().min().item<double>(), 0);
  } else {
    // Orthogonal rows, each an eigenvector, those of the largest eigenvalues (the shortest rows)
    // first, the entry of largest size positive.
    const at::Tensor gram = at::matmul(r, r.t());
    EXPECT_LE(max_error(gram, diagonal_part(gram)), tolerance * r.abs().max().item<double>());
    const at::Tensor lengths = gram.diagonal();
    EXPECT_TRUE(at::all(lengths.diff() > 0).item<bool>());
    EXPECT_TRUE(at::equal(r.amax(1), r.abs().amax(1)));
  }
}

TEST(Rules, CovarianceRulesWhitenTheRunningCovariance) {
  const CorrelatedGaussian data(kFeatures, 30);
  for (const std::string& method : covariance_methods())
    for (const char* gain : {"energy", "none"})
      for (const double damping : {0.0, 0.5}) {
        SCOPED_TRACE(method + ", gain " + gain + ", damping " + std::to_string(damping));
        DecorrelatorOptions options = options_for(method);
        options.gain = gain;
        options.damping = damping;
        options.refresh_every = 3;
        options.covariance_momentum = 0.3;
        Decorrelator decorrelator = make_decorrelator(kFeatures, options);
        Observer observer(damping);
        at::Tensor covariance = at::zeros({kFeatures, kFeatures}, kFloat64);
        at::Tensor before = identity();
        for (std::uint64_t i = 0; i < 10; ++i) {
          const at::Tensor rows = data.sample(40, i) + 2;
          const at::Tensor x = observer.see(rows, i).x;
          const double weight = std::max(1 / (static_cast<double>(i) + 1), 0.3);
          covariance = (1 - weight) * covariance + weight / 40 * at::matmul(x.t(), x);
          const UpdateReport report = feed(decorrelator, rows);
          ASSERT_EQ(report.outcome, Outcome::kApplied) << report.reason;
          ASSERT_EQ(report.refreshed, i % 3 == 2);
          ASSERT_LE(max_error(decorrelator->state(), covariance), 1e-12);
          const at::Tensor r = decorrelator->matrix();
          if (i % 3 != 2) {
            ASSERT_TRUE(at::equal(r, before));
            continue;
          }
          before = r.clone();
          const at::Tensor target = damped(covariance, damping);
          const at::Tensor white = at::matmul(at::matmul(r, target), r.t());
          const double c2 = options.gain == "energy" ? target.diagonal().mean().item<double>() : 1;
          // The ridge of 10⁻¹² of the mean variance is all that may be missing.
          EXPECT_LE(max_error(white / c2, identity()), 1e-10);
          expect_form(method, r);
        }
      }
}

TEST(Rules, NewtonSchulzIsZca) {
  const CorrelatedGaussian data(kFeatures, 1e4);
  DecorrelatorOptions options = options_for("zca");
  options.refresh_every = 1;
  Decorrelator zca = make_decorrelator(kFeatures, options);
  options.method = "newton-schulz";
  Decorrelator iterated = make_decorrelator(kFeatures, options);
  const at::Tensor rows = data.sample(400, 1);
  feed(zca, rows);
  feed(iterated, rows);
  EXPECT_LE(max_error(iterated->matrix(), zca->matrix()),
            1e-9 * zca->matrix().abs().max().item<double>());
}

// Data that float32 cannot take the roots of: it has directions that only the ridge fills.
TEST(Rules, NewtonSchulzRefreshesUndampedInFloat32OnRankDeficientData) {
  DecorrelatorOptions options = options_for("newton-schulz");
  options.refresh_every = 5;
  Decorrelator decorrelator(64, options, RandomStream(5, "test"));
  const at::Tensor mixing = normal({4, 64}, 1).to(at::kFloat);
  int refreshed = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    const at::Tensor rows = at::matmul(normal({40, 4}, 10 + i).to(at::kFloat), mixing);
    const UpdateReport report = feed(decorrelator, rows);
    ASSERT_EQ(report.outcome, Outcome::kApplied) << i << report.reason;
    refreshed += report.refreshed ? 1 : 0;
  }
  EXPECT_EQ(refreshed, 2);
}

TEST(Rules, StandardizeAgreesWithTheFormula) {
  const CorrelatedGaussian data(kFeatures, 30);
  for (const double damping : {0.0, 0.5}) {
    DecorrelatorOptions options = options_for("standardize");
    options.damping = damping;
    options.mean_momentum = 0.1;
    Decorrelator decorrelator = make_decorrelator(kFeatures, options);
    Observer observer(damping);
    at::Tensor variance;
    for (std::uint64_t i = 0; i < 6; ++i) {
      const at::Tensor rows = data.sample(40, i) + 2;
      const at::Tensor x = observer.see(rows, i).x;
      const at::Tensor newest = x.square().mean(0) + damping * x.square().mean();
      variance = i == 0 ? newest : 0.9 * variance + 0.1 * newest;
      ASSERT_EQ(feed(decorrelator, rows).outcome, Outcome::kApplied);
      ASSERT_LE(max_error(decorrelator->matrix(), variance.rsqrt()), 1e-12);
    }
  }
}

}  // namespace
}  // namespace decorr::whitening
