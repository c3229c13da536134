#include "decorr/learning/backprop.h"

#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/nn/support.h"
#include <memory>

namespace decorr::learning {
namespace {

using nn::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

nn::Mlp make_model(const std::string& method) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.lr = 0.05;
  nn::Mlp model(nn::MlpOptions(6, {8, 7}, 4)
                    .activation("tanh")
                    .decorrelation(nn::everywhere(options))
                    .seed(2));
  model->to(at::kDouble);
  return model;
}

at::Tensor labels(std::int64_t count, std::uint64_t stream) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(
        static_cast<std::int64_t>(RandomStream(8, stream).below(4, static_cast<std::uint64_t>(i))));
  return at::tensor(values, at::kLong);
}

std::vector<at::Tensor> gradients(const nn::Mlp& model) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& parameter : model->parameters()) result.push_back(parameter.grad());
  return result;
}

void expect_close(const std::vector<at::Tensor>& actual, const std::vector<at::Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(actual[i].defined()) << i;
    EXPECT_GT(expected[i].abs().max().item<double>(), 1e-4) << i;
    EXPECT_LE(nn::max_error(actual[i], expected[i]), 1e-12) << i;
  }
}

TEST(Backprop, GradientsEqualThoseOfPlainAutograd) {
  for (const std::string& name : losses()) {
    const nn::Mlp model = make_model("none");
    const at::Tensor x = nn::correlated({20, 6}, 1);
    const at::Tensor target = labels(20, 1);
    const BatchResult result =
        make_rule("backprop", model.ptr(), Loss(name))->accumulate(x, target);

    // The same network written out.
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& parameter : model->parameters())
      leaves.push_back(parameter.detach().clone().set_requires_grad(true));
    ASSERT_EQ(leaves.size(), 6U);
    const auto affine = [&leaves](const at::Tensor& input, std::size_t i) {
      return at::matmul(input, leaves[2 * i].t()) + leaves[2 * i + 1];
    };
    const at::Tensor logits = affine(at::tanh(affine(at::tanh(affine(x, 0)), 1)), 2);
    const at::Tensor picked = at::log_softmax(logits, 1).gather(1, target.unsqueeze(1));
    const at::Tensor loss =
        name == "cross-entropy"
            ? -picked.mean()
            : (logits - at::one_hot(target, 4).to(at::kDouble)).square().sum() / 20;
    expect_close(gradients(model), torch::autograd::grad({loss}, leaves));

    EXPECT_NEAR(result.loss.item<double>(), loss.item<double>(), 1e-12);
    EXPECT_LE(nn::max_error(result.logits, logits), 1e-12);
    EXPECT_FALSE(result.loss.requires_grad());
    EXPECT_FALSE(result.logits.requires_grad());
  }
}

TEST(Backprop, WeightedMicroBatchesAddUpToTheBatch) {
  for (const char* method : {"norm-preserving", "standardize", "none"}) {
    SCOPED_TRACE(method);
    const at::Tensor x = nn::correlated({30, 6}, 1);
    const at::Tensor target = labels(30, 1);
    const auto trained = [&] {
      nn::Mlp model = make_model(method);
      const auto rule = make_rule("backprop", model.ptr(), Loss("cross-entropy"));
      for (std::uint64_t i = 0; i < 3; ++i) {
        rule->accumulate(nn::correlated({40, 6}, 10 + i), labels(40, 10 + i));
        nn::descend(*model, 0.1);
        update(*model);
      }
      return model;
    };
    const nn::Mlp whole = trained();
    const double loss = make_rule("backprop", whole.ptr(), Loss("cross-entropy"))
                            ->accumulate(x, target)
                            .loss.item<double>();

    const nn::Mlp split = trained();
    const auto rule = make_rule("backprop", split.ptr(), Loss("cross-entropy"));
    double sum = 0;
    std::int64_t first = 0;
    for (const std::int64_t count : {15, 10, 5}) {  // unequal: a plain mean would be wrong
      const double weight = static_cast<double>(count) / 30;
      const BatchResult part =
          rule->accumulate(x.narrow(0, first, count), target.narrow(0, first, count), weight);
      sum += weight * part.loss.item<double>();  // the loss itself is reported without the weight
      first += count;
    }
    EXPECT_NEAR(sum, loss, 1e-12);
    expect_close(gradients(split), gradients(whole));
  }
}

TEST(Backprop, TrainsWithTheDefaultPreset) {
  nn::Mlp model(nn::MlpOptions(6, {16}, 4).seed(2));
  const auto rule = make_rule("backprop", model.ptr(), Loss("cross-entropy"));
  const at::Tensor x = nn::correlated({64, 6}, 1).to(at::kFloat);
  const at::Tensor target = (x.select(1, 0) > 1).to(at::kLong) + 2 * (x.select(1, 1) > 1);
  double first = 0;
  double last = 0;
  for (int step = 0; step < 200; ++step) {
    last = rule->accumulate(x, target).loss.item<double>();
    if (step == 0) first = last;
    nn::descend(*model, 0.1);
    update(*model);
  }
  EXPECT_LT(last, first / 2);
}

TEST(Rule, RefusesAnUnknownName) {
  EXPECT_THAT(rules(), ElementsAre("backprop", "feedback-alignment", "direct-feedback-alignment",
                                   "sign-symmetry", "kolen-pollack", "node-perturbation",
                                   "weight-perturbation"));
  EXPECT_THAT(
      message_of(
          [] { make_rule("forward-forward", make_model("none").ptr(), Loss("cross-entropy")); }),
      HasSubstr(
          "[learning] rule must be one of backprop, feedback-alignment, direct-feedback-alignment, "
          "sign-symmetry, kolen-pollack, node-perturbation, weight-perturbation, got "
          "\"forward-forward\""));
}

}  // namespace
}  // namespace decorr::learning
