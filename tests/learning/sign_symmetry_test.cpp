#include "decorr/learning/sign_symmetry.h"

#include <gtest/gtest.h>

#include "tests/learning/support.h"

namespace decorr::learning {
namespace {

TEST(SignSymmetry, HasTheSignsOfTheWeightsAndItsOwnMagnitudes) {
  const auto model = small_mlp(quick("norm-preserving"));
  const auto layers = nn::decorrelated_layers(*model);
  const at::Tensor x = rows(24, 0), target = labels(24, 4, 0);
  for (const char* magnitude : {"uniform", "fixed", "batch"}) {
    SCOPED_TRACE(magnitude);
    RuleOptions options;
    options.magnitude = magnitude;
    options.feedback_scale = 2;
    SignSymmetry rule(model, Loss("cross-entropy"), options, x);
    EXPECT_FALSE(rule.feedback("layers.0").defined());
    const at::Tensor& weights = layers[1].layer->weights();
    const at::Tensor first = rule.feedback("layers.1");
    EXPECT_TRUE(at::equal(first.sign(), weights.detach().sign()));
    // Uniform in ±√3·rms: the mean square over 56 entries has a standard error of 0.12.
    const double ratio = first.square().mean().item<double>() /
                         (4 * weights.detach().square().mean().item<double>());
    EXPECT_NEAR(ratio, 1, std::string(magnitude) == "uniform" ? 1e-12 : 0.5);
    EXPECT_EQ(first.abs().std().item<double>() < 1e-12, std::string(magnitude) == "uniform");
    rule.accumulate(x, target);
    EXPECT_EQ(at::equal(rule.feedback("layers.1"), first), std::string(magnitude) != "batch");
    take_gradients(*model);
  }
}

}  // namespace
}  // namespace decorr::learning
