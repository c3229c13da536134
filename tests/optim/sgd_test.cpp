#include "decorr/optim/sgd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

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

testing::Build build_with(const SgdOptions& options) {
  return [options](NamedParameters parameters) {
    return std::make_unique<Sgd>(std::move(parameters), options);
  };
}

// Element by element in double, for the gradients of run().
at::Tensor reference(const at::Tensor& start, const SgdOptions& options, int steps) {
  const at::Tensor result = start.detach().to(at::kDouble).clone();
  auto* p = result.data_ptr<double>();
  const auto count = static_cast<std::size_t>(result.numel());
  std::vector<double> m(count);
  for (int step = 0; step < steps; ++step) {
    const at::Tensor gradient = make_gradient(result, step);
    const auto* g = gradient.data_ptr<double>();
    const double lr = rate(step);
    for (std::size_t i = 0; i < count; ++i) {
      m[i] = options.momentum() * m[i] + g[i];
      const double direction = options.nesterov() ? g[i] + options.momentum() * m[i] : m[i];
      p[i] = (1 - lr * options.weight_decay()) * p[i] - lr * direction;
    }
  }
  return result;
}

std::vector<SgdOptions> settings() {
  return {SgdOptions(), SgdOptions().weight_decay(0.3), SgdOptions().momentum(0.9),
          SgdOptions().momentum(0.8).nesterov(true).weight_decay(0.3)};
}

TEST(Sgd, MatchesNaiveReferenceInFloat64) {
  for (const SgdOptions& options : settings()) {
    const at::Tensor p = make_parameter({11, 9}, at::kDouble);
    const at::Tensor expected = reference(p, options, 20);
    Sgd optimizer({{"p", p}}, options);
    run(optimizer, 0, 20);
    EXPECT_LT(relative_error(p, expected), 1e-12);
  }
}

TEST(Sgd, Float32StaysCloseToFloat64Reference) {
  for (const SgdOptions& options : settings()) {
    const at::Tensor p = make_parameter({101, 9}, at::kFloat);
    const at::Tensor expected = reference(p, options, 20);
    Sgd optimizer({{"p", p}}, options);
    run(optimizer, 0, 20);
    EXPECT_LT(relative_error(p, expected), 1e-6);
  }
}

TEST(Sgd, MatchesLibTorch) {
  for (const bool nesterov : {false, true}) {
    const at::Tensor p = make_parameter({8, 5}, at::kDouble);
    const at::Tensor q = p.detach().clone().requires_grad_();
    Sgd ours({{"p", p}}, SgdOptions().momentum(0.9).nesterov(nesterov));
    torch::optim::SGD theirs({q}, torch::optim::SGDOptions(0.05).momentum(0.9).nesterov(nesterov));
    for (std::int64_t step = 0; step < 20; ++step) {
      p.mutable_grad() = make_gradient(p, step);
      q.mutable_grad() = make_gradient(p, step);
      ours.step(0.05);
      theirs.step();
    }
    EXPECT_LT(relative_error(p, q), 1e-12);
  }
}

TEST(Sgd, WeightDecayDoesNotEnterTheMomentum) {
  const at::Tensor p = make_parameter({17}, at::kDouble);
  const at::Tensor start = p.detach().clone();
  Sgd optimizer({{"p", p}}, SgdOptions().momentum(0.9).weight_decay(0.5));
  for (int step = 0; step < 2; ++step) {
    p.mutable_grad() = at::zeros({17}, at::kDouble);
    optimizer.step(0.1);
  }
  EXPECT_LT(relative_error(p, start * 0.95 * 0.95), 1e-15);
  EXPECT_EQ(optimizer.state_dict().at("p.momentum_buffer").abs().max().item<double>(), 0);
}

TEST(Sgd, ResumeIsExact) {
  for (const SgdOptions& options : settings()) testing::expect_resume_is_exact(build_with(options));
}

TEST(Sgd, SameBitsWithAnyThreadsAndCut) {
  for (const SgdOptions& options : settings())
    for (const auto type : {at::kFloat, at::kDouble})
      testing::expect_same_bits_with_any_cut(build_with(options), type);
}

TEST(Sgd, LayoutsAgree) {
  for (const SgdOptions& options : settings()) testing::expect_layouts_agree(build_with(options));
}

TEST(Sgd, RefusesUnfitOptions) {
  const auto expect_refused = [](const SgdOptions& options, const std::string& message) {
    EXPECT_THAT(
        [&] {
          const Sgd optimizer({{"p", make_parameter({3}, at::kFloat)}}, options);
        },
        ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr(message)));
  };
  const double nan = std::nan("");
  for (const double momentum : {-0.1, 1.0, nan})
    expect_refused(SgdOptions().momentum(momentum), "[Sgd] momentum must be in [0, 1), got");
  expect_refused(SgdOptions().nesterov(true), "[Sgd] nesterov needs momentum > 0, got 0");
  for (const double decay : {-0.1, nan, std::numeric_limits<double>::infinity()})
    expect_refused(SgdOptions().weight_decay(decay), "[Sgd] weight decay must be finite");
}

}  // namespace
}  // namespace decorr::optim
