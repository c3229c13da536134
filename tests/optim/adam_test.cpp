#include "decorr/optim/adam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include "tests/optim/support.h"
#include <cmath>
#include <limits>
#include <stdexcept>

namespace decorr::optim {
namespace {

using testing::make_gradient;
using testing::make_parameter;
using testing::rate;
using testing::relative_error;
using testing::run;

testing::Build build_with(const AdamOptions& options) {
  return [options](NamedParameters parameters) {
    return std::make_unique<Adam>(std::move(parameters), options);
  };
}

// The formulas of the paper, element by element in double, for the gradients of run().
at::Tensor reference(const at::Tensor& start, const AdamOptions& options, int steps) {
  const at::Tensor result = start.detach().to(at::kDouble).clone();
  auto* p = result.data_ptr<double>();
  const auto count = static_cast<std::size_t>(result.numel());
  std::vector<double> m(count);
  std::vector<double> v(count);
  for (int step = 0; step < steps; ++step) {
    const at::Tensor gradient = make_gradient(result, step);
    const auto* g = gradient.data_ptr<double>();
    const double lr = rate(step);
    for (std::size_t i = 0; i < count; ++i) {
      p[i] -= lr * options.weight_decay() * p[i];
      m[i] = options.beta1() * m[i] + (1 - options.beta1()) * g[i];
      v[i] = options.beta2() * v[i] + (1 - options.beta2()) * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(options.beta1(), step + 1));
      const double v_hat = v[i] / (1 - std::pow(options.beta2(), step + 1));
      p[i] -= lr * m_hat / (std::sqrt(v_hat) + options.eps());
    }
  }
  return result;
}

std::vector<AdamOptions> settings() {
  return {AdamOptions(), AdamOptions().beta1(0.8).beta2(0.9).eps(1e-2).weight_decay(0.3),
          AdamOptions().beta1(0).beta2(0)};
}

TEST(Adam, MatchesNaiveReferenceInFloat64) {
  for (const AdamOptions& options : settings()) {
    const at::Tensor p = make_parameter({11, 9}, at::kDouble);
    const at::Tensor expected = reference(p, options, 20);
    Adam optimizer({{"p", p}}, options);
    run(optimizer, 0, 20);
    EXPECT_LT(relative_error(p, expected), 1e-12);
  }
}

TEST(Adam, Float32StaysCloseToFloat64Reference) {
  for (const AdamOptions& options : settings()) {
    const at::Tensor p = make_parameter({101, 9}, at::kFloat);
    const at::Tensor expected = reference(p, options, 20);
    Adam optimizer({{"p", p}}, options);
    run(optimizer, 0, 20);
    EXPECT_LT(relative_error(p, expected), 1e-6);
  }
}

TEST(Adam, MatchesLibTorchWithSkippedSteps) {
  const at::Tensor p = make_parameter({8, 5}, at::kDouble);
  const at::Tensor q = p.detach().clone().requires_grad_();
  const at::Tensor always = make_parameter({3}, at::kDouble, 4);
  Adam ours({{"p", p}, {"always", always}}, AdamOptions().weight_decay(0.1));
  torch::optim::AdamW theirs({q}, torch::optim::AdamWOptions(0.05).weight_decay(0.1));
  for (std::int64_t step = 0; step < 20; ++step) {
    always.mutable_grad() = make_gradient(always, step);
    const bool skip = step < 4 || step % 3 == 0;
    p.mutable_grad() = skip ? at::Tensor() : make_gradient(p, step);
    q.mutable_grad() = skip ? at::Tensor() : make_gradient(p, step);
    ours.step(0.05);
    theirs.step();
  }
  EXPECT_LT(relative_error(p, q), 1e-12);
}

TEST(Adam, WeightDecayIsDecoupled) {
  const at::Tensor p = make_parameter({17}, at::kDouble);
  const at::Tensor start = p.detach().clone();
  Adam optimizer({{"p", p}}, AdamOptions().weight_decay(0.5));
  p.mutable_grad() = at::zeros({17}, at::kDouble);
  optimizer.step(0.1);
  EXPECT_LT(relative_error(p, start * 0.95), 1e-15);
  EXPECT_EQ(optimizer.state_dict().at("p.exp_avg").abs().max().item<double>(), 0);
}

TEST(Adam, ZeroGradientAndRateChangeNothing) {
  const at::Tensor p = make_parameter({17}, at::kFloat);
  const at::Tensor start = p.detach().clone();
  Adam optimizer({{"p", p}}, AdamOptions().eps(std::numeric_limits<float>::min()));
  p.mutable_grad() = at::zeros({17});
  optimizer.step(0.1);
  EXPECT_TRUE(testing::same_bits(p, start));
  p.mutable_grad() = at::ones({17});
  optimizer.step(0);
  EXPECT_TRUE(testing::same_bits(p, start));
}

TEST(Adam, ResumeIsExact) {
  testing::expect_resume_is_exact(build_with(AdamOptions().weight_decay(0.1)));
}

TEST(Adam, SameBitsWithAnyThreadsAndCut) {
  for (const auto type : {at::kFloat, at::kDouble})
    testing::expect_same_bits_with_any_cut(build_with(AdamOptions().weight_decay(0.1)), type);
}

TEST(Adam, LayoutsAgree) {
  testing::expect_layouts_agree(build_with(AdamOptions().weight_decay(0.1)));
}

TEST(Adam, AcceptsNonContiguousGradients) {
  const at::Tensor p = make_parameter({6, 35}, at::kFloat);
  const at::Tensor q = p.detach().clone().requires_grad_();
  Adam optimizer({{"p", p}, {"q", q}});
  const at::Tensor gradient = make_gradient(p, 0);
  p.mutable_grad() = gradient;
  q.mutable_grad() = gradient.t().contiguous().t();
  optimizer.step(0.1);
  EXPECT_TRUE(testing::same_bits(p, q));
}

TEST(Adam, RefusesUnfitOptions) {
  const auto expect_refused = [](const AdamOptions& options, const std::string& message) {
    EXPECT_THAT(
        [&] {
          const Adam optimizer({{"p", make_parameter({3}, at::kFloat)}}, options);
        },
        ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr(message)));
  };
  const double nan = std::nan("");
  for (const double beta : {-0.1, 1.0, nan}) {
    expect_refused(AdamOptions().beta1(beta), "[Adam] beta1 must be in [0, 1), got");
    expect_refused(AdamOptions().beta2(beta), "[Adam] beta2 must be in [0, 1), got");
  }
  for (const double eps : {0.0, -1e-8, 1e-40, nan, std::numeric_limits<double>::infinity()})
    expect_refused(AdamOptions().eps(eps), "[Adam] eps must be finite and at least 1.2e-38");
  for (const double decay : {-0.1, nan, std::numeric_limits<double>::infinity()})
    expect_refused(AdamOptions().weight_decay(decay), "[Adam] weight decay must be finite");
}

}  // namespace
}  // namespace decorr::optim
