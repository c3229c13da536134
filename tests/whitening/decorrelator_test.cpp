#include "decorr/whitening/decorrelator.h"

#include "decorr/linalg/norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/whitening/support.h"
#include <functional>
#include <limits>

namespace decorr::whitening {
namespace {

using testing::HasSubstr;
using Outcome = UpdateReport::Outcome;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing thrown";
}

// R ← g(I - η(C - ...))R with n×n matrices, as the formulas stand, for one full-batch update.
at::Tensor naive_update(const at::Tensor& r, const at::Tensor& u,
                        const DecorrelatorOptions& options, double gain) {
  const at::Tensor identity = at::eye(r.size(0), kFloat64);
  at::Tensor c = at::matmul(u.t(), u) / static_cast<double>(u.size(0));
  if (options.scale_free) c = c / u.square().mean();
  if (options.method == "copi") c = c - at::diag(c.diagonal());
  return gain * at::matmul(identity - options.lr * c, r);
}

TEST(Decorrelator, CastingLeavesTheCountersWhole) {
  Decorrelator decorrelator(4);
  decorrelator->named_buffers()["counters"].fill_((1 << 24) + 1);  // not a float32 number
  decorrelator->to(at::kDouble);
  EXPECT_EQ(decorrelator->matrix().scalar_type(), at::kDouble);
  decorrelator->to(at::Device(at::kCPU), at::kFloat);
  EXPECT_EQ(decorrelator->matrix().scalar_type(), at::kFloat);
  EXPECT_EQ(decorrelator->running_mean().scalar_type(), at::kFloat);
  EXPECT_EQ(decorrelator->steps(), (1 << 24) + 1);
  EXPECT_EQ(
      Decorrelator(std::dynamic_pointer_cast<DecorrelatorImpl>(decorrelator->clone()))->steps(),
      (1 << 24) + 1);
}

TEST(Decorrelator, AgreesWithTheFormulas) {
  const CorrelatedGaussian data(12, 30);
  for (const char* method : {"norm-preserving", "copi"})
    for (const bool scale_free : {true, false})
      for (const char* gain : {"energy", "none", "published"}) {
        DecorrelatorOptions options;
        options.update_every = 1;
        options.method = method;
        options.scale_free = scale_free;
        options.gain = gain;
        options.damping = 0;
        options.sample_fraction = 1;
        options.lr = 1e-3;
        Decorrelator decorrelator = make_decorrelator(12, options);
        at::Tensor r = at::eye(12, kFloat64);
        at::Tensor mean = at::zeros({12}, kFloat64);
        for (std::uint64_t i = 0; i < 5; ++i) {
          const at::Tensor x = data.sample(40, i) + 2;
          mean = i == 0 ? x.mean(0) : mean * 0.9 + 0.1 * x.mean(0);
          const at::Tensor u = at::matmul(x - mean, r.t());
          double g = 1;
          if (options.gain == "energy")
            g = std::sqrt(((x - mean).square().sum() / u.square().sum()).item<double>());
          if (options.gain == "published")
            g = (x.norm(2, 1) / (u.square().sum(1) + 1e-8).sqrt()).mean().item<double>();
          r = naive_update(r, u, options, g);
          const UpdateReport report = feed(decorrelator, x);
          ASSERT_EQ(report.outcome, Outcome::kApplied);
          EXPECT_FALSE(report.shortened);
          EXPECT_NEAR(report.gain, g, 1e-12);
          ASSERT_LE(max_error(decorrelator->matrix(), r), 1e-12) << method << " " << gain;
          ASSERT_LE(max_error(decorrelator->running_mean(), mean), 1e-12);
        }
      }
}

TEST(Decorrelator, UpdatePreservesTheFunction) {
  const CorrelatedGaussian data(24, 100);
  const at::Tensor probe = data.sample(50, 999) * 2 + 1;
  for (const char* method : {"norm-preserving", "copi", "standardize"})
    for (const char* mean : {"running", "batch"})
      for (const double damping : {0.0, 1.0}) {
        DecorrelatorOptions options;
        options.update_every = 1;
        options.method = method;
        options.mean = mean;
        options.damping = damping;
        options.lr = 0.05;  // large steps: preservation is exact, not to first order
        Decorrelator decorrelator = make_decorrelator(24, options);
        at::Tensor weight = normal({7, 24}, 1);
        at::Tensor bias = normal({7}, 2);
        at::Tensor other = normal({3, 24}, 3);
        const auto outputs = [&] {
          decorrelator->eval();
          const at::Tensor u = decorrelator->forward(probe);
          decorrelator->train();
          return at::matmul(u, weight.t()) + bias;
        };
        for (std::uint64_t i = 0; i < 20; ++i) {
          const at::Tensor before = outputs();
          const at::Tensor composed =
              at::matmul(other, decorrelator->matrix().dim() == 1 ? at::diag(decorrelator->matrix())
                                                                  : decorrelator->matrix());
          ASSERT_EQ(feed(decorrelator, data.sample(64, i) + 1 + 0.1 * static_cast<double>(i),
                         {{weight, bias}, {other, at::Tensor()}})
                        .outcome,
                    Outcome::kApplied);
          const double bound =
              1e-10 * (linalg::spectral_norm(weight) * decorrelator->matrix_norm() *
                           (probe - decorrelator->running_mean()).norm(2, 1).max().item<double>() +
                       bias.norm().item<double>());
          ASSERT_LE(max_error(outputs(), before), bound) << method << " " << mean << " " << damping;
          const at::Tensor matrix = decorrelator->matrix().dim() == 1
                                        ? at::diag(decorrelator->matrix())
                                        : decorrelator->matrix();
          ASSERT_LE(max_error(at::matmul(other, matrix), composed), 1e-10);
        }
        EXPECT_GT(max_error(weight, normal({7, 24}, 1)), 1e-3) << "W never followed";
      }
}

TEST(Decorrelator, WithoutFunctionPreservationWeightsStay) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.function_preserving = false;
  Decorrelator decorrelator = make_decorrelator(8, options);
  at::Tensor weight = normal({3, 8}, 1);
  at::Tensor bias = normal({3}, 2);
  feed(decorrelator, CorrelatedGaussian(8, 10).sample(64, 1), {{weight, bias}});
  EXPECT_TRUE(at::equal(weight, normal({3, 8}, 1)));
  EXPECT_TRUE(at::equal(bias, normal({3}, 2)));
  EXPECT_GT(max_error(decorrelator->matrix(), at::eye(8, kFloat64)), 1e-6);
}

TEST(Decorrelator, ForwardChangesNothing) {
  Decorrelator decorrelator = make_decorrelator(8, {});
  const at::Tensor x = CorrelatedGaussian(8, 10).sample(64, 1);
  decorrelator->forward(x);
  EXPECT_TRUE(at::equal(decorrelator->matrix(), at::eye(8, kFloat64)));
  EXPECT_TRUE(at::equal(decorrelator->running_mean(), at::zeros({8}, kFloat64)));
  EXPECT_EQ(decorrelator->steps(), 0);
  decorrelator->update();
  EXPECT_GT(max_error(decorrelator->matrix(), at::eye(8, kFloat64)), 1e-6);
}

TEST(Decorrelator, EvaluationModeCachesNothing) {
  Decorrelator decorrelator = make_decorrelator(8, {});
  decorrelator->eval();
  decorrelator->forward(CorrelatedGaussian(8, 10).sample(64, 1));
  decorrelator->train();
  const UpdateReport report = decorrelator->update();
  EXPECT_EQ(report.outcome, Outcome::kSkipped);
  EXPECT_THAT(report.reason, HasSubstr("no forward pass in training mode"));
  EXPECT_EQ(decorrelator->skipped(), 1);
}

// A batch that must not reach R, μ, W or b.
void expect_skipped(const at::Tensor& batch, const std::string& reason) {
  SCOPED_TRACE(reason);
  for (const char* method : {"norm-preserving", "copi", "standardize"})
    for (const bool guard : {true, false}) {
      DecorrelatorOptions options;
      options.update_every = 1;
      options.method = method;
      options.guard = guard;
      const std::int64_t n = batch.size(1);
      Decorrelator decorrelator = make_decorrelator(n, options);
      at::Tensor weight = normal({3, n}, 1);
      at::Tensor bias = normal({3}, 2);
      feed(decorrelator, normal({32, n}, 3), {{weight, bias}});
      const at::Tensor matrix = decorrelator->matrix().clone();
      const at::Tensor mean = decorrelator->running_mean().clone();
      const at::Tensor weight_before = weight.clone();
      const at::Tensor bias_before = bias.clone();
      const UpdateReport report = feed(decorrelator, batch, {{weight, bias}});
      EXPECT_EQ(report.outcome, Outcome::kSkipped);
      EXPECT_THAT(report.reason, HasSubstr(reason));
      EXPECT_EQ(decorrelator->skipped(), 1);
      EXPECT_EQ(decorrelator->applied(), 1);
      EXPECT_TRUE(at::equal(decorrelator->matrix(), matrix));
      EXPECT_TRUE(at::equal(decorrelator->running_mean(), mean));
      EXPECT_TRUE(at::equal(weight, weight_before));
      EXPECT_TRUE(at::equal(bias, bias_before));
      // The next good batch is used again.
      EXPECT_EQ(feed(decorrelator, normal({32, n}, 4), {{weight, bias}}).outcome,
                Outcome::kApplied);
    }
}

TEST(Decorrelator, SkipsUpdateOnBatchOfOne) { expect_skipped(normal({1, 6}, 9), "fewer than two"); }

TEST(Decorrelator, SkipsUpdateOnConstantInput) {
  expect_skipped(normal({1, 6}, 9).expand({20, 6}), "all rows alike");
  expect_skipped(at::zeros({20, 6}, kFloat64), "all rows alike");
  expect_skipped(at::full({20, 6}, 1.0 / 3, kFloat64), "all rows alike");
}

TEST(Decorrelator, SkipsUpdateOnNaNAndInf) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()})
    for (const std::int64_t row : {0, 7, 19}) {
      at::Tensor batch = normal({20, 6}, 9);
      batch[row][3] = bad;
      expect_skipped(batch, "not finite");
    }
  expect_skipped(normal({20, 6}, 9) * 1e200, "finite");
}

TEST(Decorrelator, GuardBoundsTheStep) {
  const CorrelatedGaussian data(16, 1e4);
  DecorrelatorOptions options;
  options.update_every = 1;
  options.lr = 10;
  for (const char* method : {"norm-preserving", "copi"}) {
    options.method = method;
    options.guard = true;
    Decorrelator guarded = make_decorrelator(16, options);
    at::Tensor weight = normal({3, 16}, 1);
    for (std::uint64_t i = 0; i < 200; ++i) {
      const UpdateReport report = feed(guarded, data.sample(64, i), {{weight, at::Tensor()}});
      ASSERT_EQ(report.outcome, Outcome::kApplied);
      EXPECT_TRUE(report.shortened);
      EXPECT_LT(report.eta, 10);
    }
    EXPECT_EQ(guarded->shortened(), 200);
    EXPECT_LT(guarded->matrix_norm(), 1e3) << method;
    // I - ηC stays positive: R keeps its orientation.
    EXPECT_GT(at::linalg_det(guarded->matrix()).item<double>(), 0) << method;

    options.guard = false;
    options.gain = "none";
    Decorrelator unguarded = make_decorrelator(16, options);
    double norm = 0;
    for (std::uint64_t i = 0; i < 20 && norm < 1e9; ++i) {
      feed(unguarded, data.sample(64, i));
      norm = unguarded->matrix_norm();
    }
    EXPECT_GE(norm, 1e9) << "without the guard " << method << " should diverge";
    options.gain = "energy";
  }
}

TEST(Decorrelator, UpdatesOnlyEveryFewSteps) {
  DecorrelatorOptions options;
  options.update_every = 3;
  Decorrelator decorrelator = make_decorrelator(6, options);
  std::vector<bool> applied;
  for (std::uint64_t i = 0; i < 7; ++i)
    applied.push_back(feed(decorrelator, normal({32, 6}, i)).outcome == Outcome::kApplied);
  EXPECT_EQ(applied, (std::vector<bool>{true, false, false, true, false, false, true}));
  EXPECT_EQ(decorrelator->steps(), 7);
  EXPECT_EQ(decorrelator->applied(), 3);
  EXPECT_EQ(decorrelator->skipped(), 0);
}

TEST(Decorrelator, ScheduleChangesTheRate) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.lr = 1e-3;
  options.schedule.warmup = 2;
  options.schedule.kind = "step";
  options.schedule.step_size = 2;
  options.schedule.gamma = 0.5;
  Decorrelator decorrelator = make_decorrelator(6, options);
  std::vector<double> rates;
  for (std::uint64_t i = 0; i < 6; ++i)
    rates.push_back(feed(decorrelator, normal({32, 6}, i)).eta / 1e-3);
  EXPECT_THAT(rates,
              testing::Pointwise(testing::DoubleEq(), std::vector<double>{0.5, 1, 1, 1, 0.5, 0.5}));
}

TEST(Decorrelator, NoneIsTheIdentity) {
  DecorrelatorOptions options;
  options.method = "none";
  Decorrelator decorrelator = make_decorrelator(6, options);
  const at::Tensor x = normal({32, 6}, 1) + 4;
  EXPECT_TRUE(at::equal(decorrelator->forward(x), x));
  EXPECT_EQ(decorrelator->update().outcome, Outcome::kNotDue);
  EXPECT_EQ(decorrelator->buffers().size(), 0U);
  EXPECT_EQ(decorrelator->matrix_norm(), 1);
}

TEST(Decorrelator, BatchMeanIsDifferentiatedThrough) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.mean = "batch";
  Decorrelator decorrelator = make_decorrelator(5, options);
  feed(decorrelator, normal({32, 5}, 1));
  at::Tensor x = normal({8, 5}, 2).set_requires_grad(true);
  const at::Tensor seed = normal({8, 5}, 3);
  (decorrelator->forward(x) * seed).sum().backward();
  const at::Tensor through = at::matmul(seed, decorrelator->matrix());
  EXPECT_LE(max_error(x.grad(), through - through.mean(0)), 1e-12);
  // In evaluation the running mean is subtracted, whatever the batch.
  decorrelator->eval();
  const at::Tensor expected =
      at::matmul(x.detach() - decorrelator->running_mean(), decorrelator->matrix().t());
  EXPECT_LE(max_error(decorrelator->forward(x.detach()), expected), 1e-12);
}

TEST(Decorrelator, CloneIsIndependent) {
  Decorrelator original = make_decorrelator(6, {});
  feed(original, normal({32, 6}, 1));
  const auto copy = std::dynamic_pointer_cast<DecorrelatorImpl>(original->clone());
  ASSERT_TRUE(copy);
  EXPECT_TRUE(at::equal(copy->matrix(), original->matrix()));
  EXPECT_EQ(copy->steps(), 1);
  const at::Tensor before = copy->matrix().clone();
  feed(original, normal({32, 6}, 2));
  EXPECT_TRUE(at::equal(copy->matrix(), before));
  EXPECT_EQ(copy->steps(), 1);
  // And it goes on as the original did.
  copy->observe(normal({32, 6}, 2));
  copy->update();
  EXPECT_TRUE(at::equal(copy->matrix(), original->matrix()));
}

TEST(Decorrelator, StateRestoresTheTrajectory) {
  Decorrelator original = make_decorrelator(6, {});
  for (std::uint64_t i = 0; i < 5; ++i) feed(original, normal({32, 6}, i));
  Decorrelator restored = make_decorrelator(6, {});
  for (const auto& item : original->named_buffers())
    restored->named_buffers()[item.key()].copy_(item.value());
  for (std::uint64_t i = 5; i < 10; ++i) {
    feed(original, normal({32, 6}, i));
    feed(restored, normal({32, 6}, i));
  }
  EXPECT_TRUE(at::equal(original->matrix(), restored->matrix()));
  EXPECT_TRUE(at::equal(original->running_mean(), restored->running_mean()));
}

TEST(Decorrelator, RefusesBadArguments) {
  const auto with = [](const std::function<void(DecorrelatorOptions&)>& change) {
    return message_of([&] {
      DecorrelatorOptions options;
      options.update_every = 1;
      change(options);
      Decorrelator(4, options);
    });
  };
  EXPECT_THAT(message_of([] { Decorrelator(0); }), HasSubstr("features must be at least 1, got 0"));
  EXPECT_THAT(with([](auto& o) { o.method = "zzz"; }), HasSubstr("method must be one of norm-"));
  EXPECT_THAT(with([](auto& o) { o.lr = -1; }), HasSubstr("lr must be positive, got -1"));
  EXPECT_THAT(with([](auto& o) { o.lr = std::nan(""); }),
              HasSubstr("lr must be positive, got nan"));
  EXPECT_THAT(with([](auto& o) { o.sample_fraction = 0; }), HasSubstr("(0, 1], got 0"));
  EXPECT_THAT(with([](auto& o) { o.sample_fraction = 1.5; }), HasSubstr("(0, 1], got 1.5"));
  EXPECT_THAT(with([](auto& o) { o.max_samples = -2; }), HasSubstr("got -2"));
  EXPECT_THAT(with([](auto& o) { o.update_every = 0; }),
              HasSubstr("update_every must be at least"));
  EXPECT_THAT(with([](auto& o) { o.damping = -0.1; }), HasSubstr("damping must be 0 or more"));
  EXPECT_THAT(with([](auto& o) { o.gain = "big"; }), HasSubstr("gain must be one of"));
  EXPECT_THAT(with([](auto& o) { o.mean = "median"; }), HasSubstr("mean must be one of"));
  EXPECT_THAT(with([](auto& o) { o.sampling = "last"; }), HasSubstr("sampling must be one of"));
  EXPECT_THAT(with([](auto& o) { o.mean_momentum = 0; }), HasSubstr("mean_momentum must be in"));
  EXPECT_THAT(with([](auto& o) { o.schedule.kind = "no"; }), HasSubstr("schedule must be"));
  EXPECT_THAT(message_of([] { DecorrelatorOptions::preset("fast"); }),
              HasSubstr("preset must be one of default, published, got \"fast\""));
  Decorrelator decorrelator = make_decorrelator(4, {});
  EXPECT_THAT(message_of([&] {
                decorrelator->forward(normal({3, 5}, 1));
              }),
              HasSubstr("input must be [N, 4], got [3, 5]"));
  EXPECT_THAT(message_of([&] {
                feed(decorrelator, normal({8, 4}, 1), {{normal({2, 5}, 1), at::Tensor()}});
              }),
              HasSubstr("weight must be [m, 4], got [2, 5]"));
}

}  // namespace
}  // namespace decorr::whitening
