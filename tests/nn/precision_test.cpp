// Layers with products in bfloat16.
#include "decorr/linalg/precision.h"

#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/support.h"
#include <vector>

namespace decorr::nn {
namespace {

using testing::HasSubstr;

// Output and gradients of `layer` (input, then parameters) for a fixed error.
template <typename Layer>
std::vector<at::Tensor> pass(Layer& layer, const at::Tensor& x) {
  const at::Tensor leaf = x.detach().clone().set_requires_grad(true);
  const at::Tensor y = layer->forward(leaf);
  const at::Tensor error = normal(y.sizes(), 9).to(y.scalar_type());
  for (at::Tensor& parameter : layer->parameters()) parameter.mutable_grad() = at::Tensor();
  (y * error).sum().backward();
  std::vector<at::Tensor> result{y.detach(), leaf.grad()};
  for (const at::Tensor& parameter : layer->parameters()) result.push_back(parameter.grad());
  layer->accumulate_gradient(x, error);  // once more, without autograd
  for (std::size_t i = 0; i < layer->parameters().size(); ++i)
    EXPECT_LE(max_error(layer->parameters()[i].grad(), 2 * result[2 + i]),
              2e-2 * result[2 + i].abs().max().item<double>());
  return result;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

// All but the gradient of the bias, a sum, is rounded: not equal, and to about 2^-8 the same.
void expect_rounded(const std::vector<at::Tensor>& coarse, const std::vector<at::Tensor>& exact) {
  for (std::size_t i = 0; i < coarse.size(); ++i) {
    EXPECT_EQ(coarse[i].scalar_type(), at::kFloat) << i;
    EXPECT_LT(distance(coarse[i], exact[i]), 1e-2) << i;
    if (i + 1 < coarse.size()) {
      EXPECT_GT(distance(coarse[i], exact[i]), 1e-4) << i;
    }
  }
}

template <typename Make>
void expect_layer(const Make& make, const at::Tensor& x) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.lr = 0.05;
  const auto settled = [&](const whitening::DecorrelatorOptions& own, at::ScalarType type) {
    auto layer = make(own);
    layer->to(type);
    for (int i = 0; i < 3; ++i) {
      layer->forward(x.to(type));
      update(*layer);
    }
    return layer;
  };
  auto layer = settled(options, at::kFloat);
  const auto exact = pass(layer, x);
  {
    const linalg::ProductPrecision precision(true);
    if (linalg::has_bfloat16()) {
      expect_rounded(pass(layer, x), exact);
    } else {
      EXPECT_EQ(distance(pass(layer, x)[0], exact[0]), 0);  // permission that is not used
    }
    // float64 is never rounded.
    auto wide = settled(options, at::kDouble);
    const auto before = pass(wide, x.to(at::kDouble));
    const linalg::ProductPrecision off(false);
    EXPECT_TRUE(at::equal(before[0], pass(wide, x.to(at::kDouble))[0]));
  }
  options.precision = "bf16";
  if (!linalg::has_bfloat16()) {
    EXPECT_THAT(message_of([&] { make(options); }), HasSubstr("precision bf16 needs a processor"));
    return;
  }
  auto coarse = settled(options, at::kFloat);
  EXPECT_TRUE(at::equal(coarse->decorrelator()->matrix(), layer->decorrelator()->matrix()));
  expect_rounded(pass(coarse, x), exact);
}

TEST(Precision, OfLinear) {
  for (const std::int64_t outputs : {5, 80})  // R folded, and not
    expect_layer(
        [&](const whitening::DecorrelatorOptions& options) {
          return Linear(
              LinearOptions(20, outputs).decorrelation(options).random(RandomStream(7, "test")));
        },
        correlated({64, 20}, 1).to(at::kFloat));
}

TEST(Precision, OfConv2d) {
  expect_layer(
      [&](const whitening::DecorrelatorOptions& options) {
        return Conv2d(Conv2dOptions(torch::nn::Conv2dOptions(8, 16, 3).padding(1))
                          .decorrelation(options)
                          .random(RandomStream(7, "test")));
      },
      correlated({4, 8, 9, 10}, 1).to(at::kFloat));
}

TEST(Precision, TheRoundedMatrixFollowsR) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  whitening::Decorrelator decorrelator(6, options);
  const at::Tensor rows = correlated({16, 6}, 1).to(at::kFloat);
  const auto expect_current = [](whitening::Decorrelator& own, const char* when) {
    EXPECT_TRUE(at::equal(own->rounded_matrix(), own->matrix().to(at::kBFloat16))) << when;
  };
  expect_current(decorrelator, "at first");
  decorrelator->observe(rows);
  ASSERT_EQ(decorrelator->update().outcome, whitening::UpdateReport::Outcome::kApplied);
  expect_current(decorrelator, "after an update");
  EXPECT_EQ(decorrelator->rounded_matrix().data_ptr(), decorrelator->rounded_matrix().data_ptr());
  at::Tensor(decorrelator->matrix()).copy_(at::eye(6) * 3);
  expect_current(decorrelator, "after loading");
  whitening::Decorrelator copy(
      std::dynamic_pointer_cast<whitening::DecorrelatorImpl>(decorrelator->clone()));
  at::Tensor(copy->matrix()).mul_(2);
  expect_current(copy, "in a clone");
  expect_current(decorrelator, "beside a clone");
}

}  // namespace
}  // namespace decorr::nn
