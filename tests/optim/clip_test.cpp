#include "decorr/optim/clip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/optim/support.h"
#include <cmath>
#include <limits>
#include <stdexcept>

namespace decorr::optim {
namespace {

using testing::make_gradient;
using testing::make_parameter;
using testing::relative_error;
using testing::same_bits;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

NamedParameters with_gradients(const std::vector<at::Tensor>& gradients) {
  NamedParameters parameters;
  for (const at::Tensor& gradient : gradients) {
    const at::Tensor p = at::zeros_like(gradient).requires_grad_();
    p.mutable_grad() = gradient.clone();
    parameters.emplace_back("p" + std::to_string(parameters.size()), p);
  }
  return parameters;
}

TEST(ClipGradientNorm, ScalesToTheBound) {
  const auto parameters =
      with_gradients({at::tensor({3.0, 0.0}, at::kFloat), at::tensor({4.0}, at::kDouble)});
  EXPECT_DOUBLE_EQ(clip_gradient_norm(parameters, 1.0), 5.0);
  EXPECT_FLOAT_EQ(parameters[0].second.grad()[0].item<float>(), 0.6F);
  EXPECT_DOUBLE_EQ(parameters[1].second.grad()[0].item<double>(), 0.8);
  EXPECT_NEAR(clip_gradient_norm(parameters, kInfinity), 1.0, 1e-7);
}

TEST(ClipGradientNorm, MatchesNaiveSum) {
  for (const std::int64_t size : {1, 31, 32, 33, 16384, 16385, 100003}) {
    const at::Tensor a = make_gradient(at::empty({size}, at::kFloat), 0);
    const at::Tensor b = make_gradient(at::empty({7, 5}, at::kDouble), 1);
    long double sum = 0;
    for (std::int64_t i = 0; i < size; ++i)
      sum += static_cast<long double>(a.data_ptr<float>()[i]) * a.data_ptr<float>()[i];
    for (std::int64_t i = 0; i < b.numel(); ++i)
      sum += static_cast<long double>(b.data_ptr<double>()[i]) * b.data_ptr<double>()[i];
    const auto expected = static_cast<double>(std::sqrt(sum));
    const auto parameters = with_gradients({a, b.t()});
    EXPECT_NEAR(clip_gradient_norm(parameters, expected / 2), expected, 1e-13 * expected);
    EXPECT_LT(relative_error(parameters[0].second.grad(), a / 2), 1e-6);
    EXPECT_LT(relative_error(parameters[1].second.grad(), b.t() / 2), 1e-12);
  }
}

TEST(ClipGradientNorm, LeavesSmallGradientsAlone) {
  const at::Tensor g = make_gradient(at::empty({100}, at::kFloat), 0);
  const auto parameters = with_gradients({g});
  const double norm = clip_gradient_norm(parameters, kInfinity);
  clip_gradient_norm(parameters, norm);
  EXPECT_TRUE(same_bits(parameters[0].second.grad(), g));
  const auto zeros = with_gradients({at::zeros({3})});
  EXPECT_EQ(clip_gradient_norm(zeros, 1.0), 0.0);
  EXPECT_TRUE(same_bits(zeros[0].second.grad(), at::zeros({3})));
}

TEST(ClipGradientNorm, LeavesGradientsOfNonFiniteNormAlone) {
  for (const double bad : {std::nan(""), kInfinity, -kInfinity}) {
    const at::Tensor g = make_gradient(at::empty({100}, at::kFloat), 0);
    at::Tensor poisoned = g.clone();
    poisoned[41] = bad;
    const auto parameters = with_gradients({g, poisoned});
    EXPECT_FALSE(std::isfinite(clip_gradient_norm(parameters, 1.0)));
    EXPECT_TRUE(same_bits(parameters[0].second.grad(), g));
    EXPECT_TRUE(same_bits(parameters[1].second.grad(), poisoned));
  }
}

TEST(ClipGradientNorm, DoesNotOverflowInFloat32) {
  const auto parameters = with_gradients({at::full({4}, 1e30F)});
  EXPECT_NEAR(clip_gradient_norm(parameters, 1.0), 2e30, 1e24);
  EXPECT_NEAR(parameters[0].second.grad()[0].item<float>(), 0.5F, 1e-6F);
}

TEST(ClipGradientNorm, SameBitsWithAnyThreads) {
  const testing::ThreadsGuard guard;
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor g = make_gradient(at::empty({1000003}, type), 0);
    std::vector<double> norms;
    std::vector<at::Tensor> gradients;
    for (const int count : {1, 2}) {
      set_threads(count);
      const auto parameters = with_gradients({g});
      norms.push_back(clip_gradient_norm(parameters, 1.0));
      gradients.push_back(parameters[0].second.grad());
    }
    EXPECT_EQ(norms[0], norms[1]);
    EXPECT_TRUE(same_bits(gradients[0], gradients[1]));
  }
}

TEST(ClipGradientNorm, LeavesOutParametersWithoutGradient) {
  auto parameters = with_gradients({at::full({1}, 2.0)});
  parameters.emplace_back("unused", make_parameter({3}, at::kFloat));
  EXPECT_DOUBLE_EQ(clip_gradient_norm(parameters, 1.0), 2.0);
  EXPECT_FALSE(parameters[1].second.grad().defined());
}

TEST(ClipGradientNorm, RefusesUnfitArguments) {
  const auto expect_refused = [](const NamedParameters& parameters, double max_norm,
                                 const std::string& message) {
    EXPECT_THAT([&] { clip_gradient_norm(parameters, max_norm); },
                ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr(message)));
  };
  const auto good = with_gradients({at::ones({3})});
  for (const double bound : {0.0, -1.0, std::nan("")})
    expect_refused(good, bound, "[clip_gradient_norm] max_norm must be > 0, got");
  EXPECT_TRUE(same_bits(good[0].second.grad(), at::ones({3})));
  expect_refused({{"p", make_parameter({3}, at::kFloat)}}, 1.0,
                 "none of the 1 parameters has a gradient");
  expect_refused({{"p", at::Tensor()}}, 1.0, "parameter p is undefined");
  const at::Tensor p = make_parameter({3}, at::kFloat);
  p.mutable_grad() = at::ones({3}).to_sparse();
  expect_refused({{"p", p}}, 1.0, "gradient of p must be a dense");
}

}  // namespace
}  // namespace decorr::optim
