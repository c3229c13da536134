#include "decorr/learning/direct_feedback_alignment.h"

#include "decorr/nn/resnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/learning/support.h"
#include "tests/nn/conv_support.h"

namespace decorr::learning {
namespace {

using testing::HasSubstr;

// A few steps, so that R and μ are not where they began.
template <typename Model>
void warm_up(Model& model, Rule& rule, const at::Tensor& x, const at::Tensor& target) {
  for (int i = 0; i < 4; ++i) {
    rule.accumulate(x, target);
    nn::descend(model, 0.1);
    update(model);
  }
}

at::Tensor output_error(const at::Tensor& logits, const at::Tensor& target) {
  return (at::softmax(logits, 1) - at::one_hot(target, logits.size(1))) /
         static_cast<double>(logits.size(0));
}

TEST(DirectFeedbackAlignment, EqualsItsClosedFormOnAPerceptronOfFourLayers) {
  for (const char* method : {"none", "norm-preserving", "zca"}) {
    SCOPED_TRACE(method);
    const auto model = small_mlp(quick(method));
    const at::Tensor x = rows(20, 1), target = labels(20, 4, 1);
    DirectFeedbackAlignment rule(model, Loss("cross-entropy"), {}, x);
    warm_up(*model, rule, x, target);
    rule.accumulate(x, target, 0.5);
    const auto gradients = take_gradients(*model);
    auto state = rule.state_dict();
    ASSERT_EQ(state.size(), 3U);

    const at::NoGradGuard no_grad;
    const auto [u, a] = naive_pass(*model, x);
    const at::Tensor error = 0.5 * output_error(a[3], target);
    for (std::size_t i = 0; i < 4; ++i) {
      at::Tensor delta = error;
      if (i < 3)
        delta = at::matmul(error, state.at(fmt::format("layers.{}.feedback", i + 1)).t()) *
                (1 - at::tanh(a[i]).square());
      EXPECT_LE(max_error(gradients[2 * i].second, at::matmul(delta.t(), u[i])), 1e-14) << i;
      EXPECT_LE(max_error(gradients[2 * i + 1].second, delta.sum(0)), 1e-14) << i;
    }
  }
}

// What block `index` of small_convnet() does with its input, with every u formed.
at::Tensor naive_block(nn::DecorrelatedLayer& layer, std::size_t index, const at::Tensor& x,
                       const at::Tensor& weight, const at::Tensor& bias) {
  whitening::Decorrelator& decorrelator = layer.decorrelator();
  at::Tensor y;
  if (weight.dim() == 4) {
    const nn::Looks looks{{x.size(2), x.size(3)}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
    nn::NaiveDecorrelation naive;
    if (decorrelator->active()) naive = {{decorrelator->matrix()}, decorrelator->running_mean()};
    y = nn::naive_conv(x, looks, naive, weight, bias);
  } else {
    at::Tensor u = x;
    if (decorrelator->active())
      u = at::matmul(x - decorrelator->running_mean(), decorrelator->matrix().t());
    y = at::matmul(u, weight.t()) + bias;
  }
  if (index == 5) return y;
  y = at::tanh(y);
  if (index == 1 || index == 3) y = at::max_pool2d(y, 2);
  return index == 3 ? y.flatten(1) : y;
}

TEST(DirectFeedbackAlignment, EqualsItsClosedFormOnAConvolutionalNetwork) {
  for (const char* method : {"none", "norm-preserving", "zca"}) {
    SCOPED_TRACE(method);
    const auto model = small_convnet(quick(method));
    const at::Tensor x = pictures(6, 1), target = labels(6, 4, 1);
    DirectFeedbackAlignment rule(model, Loss("cross-entropy"), {}, x);
    warm_up(*model, rule, x, target);
    rule.accumulate(x, target);
    const auto gradients = take_gradients(*model);
    auto state = rule.state_dict();
    ASSERT_EQ(state.size(), 5U);

    const auto layers = nn::decorrelated_layers(*model);
    ASSERT_EQ(layers.size(), 6U);
    std::vector<at::Tensor> inputs, outputs, leaves;
    at::Tensor h = x;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      auto& module = dynamic_cast<torch::nn::Module&>(*layers[i].layer);
      inputs.push_back(h);
      for (const char* name : {"weight", "bias"})
        leaves.push_back(module.named_parameters()[name].detach().clone().set_requires_grad(true));
      outputs.push_back(naive_block(*layers[i].layer, i, h, leaves[2 * i], leaves[2 * i + 1]));
      h = outputs.back().detach();
    }
    const at::Tensor error = output_error(h, target);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      at::Tensor received = error;
      if (i < 5)
        received = at::matmul(error, state.at(layers[i + 1].path + ".feedback").t())
                       .view(outputs[i].sizes());
      const auto expected =
          torch::autograd::grad({outputs[i]}, {leaves[2 * i], leaves[2 * i + 1]}, {received});
      EXPECT_LE(max_error(gradients[2 * i].second, expected[0]), 1e-13) << i;
      EXPECT_LE(max_error(gradients[2 * i + 1].second, expected[1]), 1e-13) << i;
    }
  }
}

TEST(DirectFeedbackAlignment, RefusesWhatItCannotServe) {
  const Loss loss("cross-entropy");
  const auto model = small_convnet(quick("none"));
  RuleOptions options;
  options.feedback_init = "weights";
  EXPECT_THAT(message_of([&] { DirectFeedbackAlignment(model, loss, options, pictures(1, 0)); }),
              HasSubstr("feedback_init must be uniform or normal"));
  // A network that takes images of any size gives its layers other errors for each.
  nn::ResNet18 resnet(nn::ResNet18Options(2, 4).width(4).batch_norm(false));
  DirectFeedbackAlignment rule(resnet, loss, {}, at::ones({1, 2, 16, 16}));
  EXPECT_THAT(message_of([&] {
                rule.accumulate(at::ones({2, 2, 24, 16}), labels(2, 4, 1));
              }),
              HasSubstr("blocks.0.conv1 must read [2, 4, 16, 16] as when the rule was built, got "
                        "[2, 4, 24, 16]"));
}

}  // namespace
}  // namespace decorr::learning
