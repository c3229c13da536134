#include "decorr/learning/alignment.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/utils.h>

#include "tests/learning/support.h"

namespace decorr::learning {
namespace {

TEST(Alignment, OfBackpropagationIsPerfectAndOfFeedbackIsKnown) {
  const auto model = small_mlp(quick("norm-preserving"));
  const at::Tensor x = rows(32, 1), target = labels(32, 4, 1);
  const Loss loss("cross-entropy");
  const auto backprop = make_rule("backprop", model, loss);
  for (const LayerAlignment& layer : measure_alignment(*backprop, model, loss, x, target)) {
    EXPECT_NEAR(layer.gradient_angle, 0, 1e-4) << layer.path;  // acos near 1 loses half the digits
    EXPECT_NEAR(layer.norm_ratio, 1, 1e-12);
    EXPECT_TRUE(std::isnan(layer.feedback_angle));
  }
  RuleOptions options;
  options.feedback_init = "weights";
  options.feedback_scale = 3;
  const auto aligned = make_rule("feedback-alignment", model, loss, options, x);
  const auto layers = measure_alignment(*aligned, model, loss, x, target);
  EXPECT_TRUE(std::isnan(layers[0].feedback_angle));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(layers[i].gradient_angle, 0, 1e-4);
    EXPECT_NEAR(layers[i].norm_ratio, std::pow(3, 3 - static_cast<double>(i)), 1e-9);
    EXPECT_TRUE(i == 0 || layers[i].feedback_angle < 1e-4);
  }
  // Opposite feedback turns the gradient around at every layer.
  const auto opposite = make_rule("feedback-alignment", model, loss, options, x);
  auto state = opposite->state_dict();
  for (auto& item : state) item.second = -item.second;
  opposite->load_state_dict(state);
  const auto turned = measure_alignment(*opposite, model, loss, x, target);
  EXPECT_NEAR(turned[2].gradient_angle, 180, 1e-4);
  EXPECT_NEAR(turned[2].feedback_angle, 180, 1e-4);
}

TEST(Alignment, DropsTheSameForBoth) {
  torch::nn::Sequential model(nn::Linear(nn::LinearOptions(6, 8).decorrelation(quick("none"))),
                              torch::nn::Dropout(0.5),
                              nn::Linear(nn::LinearOptions(8, 4).decorrelation(quick("none"))));
  model->to(at::kDouble);
  const Loss loss("cross-entropy");
  const auto rule = make_rule("backprop", model, loss);
  torch::manual_seed(1);
  for (const LayerAlignment& layer :
       measure_alignment(*rule, model, loss, rows(16, 1), labels(16, 4, 1)))
    EXPECT_NEAR(layer.gradient_angle, 0, 1e-4) << layer.path;
  const at::Tensor next = at::rand({4});
  torch::manual_seed(1);
  EXPECT_TRUE(at::equal(next, at::rand({4})));
}

TEST(Alignment, ChangesNothing) {
  const at::Tensor x = rows(32, 1), target = labels(32, 4, 1);
  const Loss loss("cross-entropy");
  for (const std::string& name : rules()) {
    SCOPED_TRACE(name);
    RuleOptions options;
    options.magnitude = "batch";
    const auto model = small_mlp(quick("norm-preserving")),
               twin = small_mlp(quick("norm-preserving"));
    const auto rule = make_rule(name, model, loss, options, x);
    const auto other = make_rule(name, twin, loss, options, x);
    for (int i = 0; i < 3; ++i) {
      measure_alignment(*rule, model, loss, x, target);
      rule->accumulate(x, target);
      measure_alignment(*rule, model, loss, rows(16, 7), labels(16, 4, 7));
      other->accumulate(x, target);
      nn::descend(*model, 0.1);
      nn::descend(*twin, 0.1);
      update(*model);
      update(*twin);
    }
    EXPECT_EQ(nn::difference(*model, *twin), "");
  }
}

}  // namespace
}  // namespace decorr::learning
