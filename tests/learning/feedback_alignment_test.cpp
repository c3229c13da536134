#include "decorr/learning/feedback_alignment.h"

#include "decorr/learning/kolen_pollack.h"
#include "decorr/learning/sign_symmetry.h"
#include "decorr/nn/resnet.h"
#include "decorr/optim/adam.h"
#include "decorr/optim/sgd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "tests/learning/support.h"
#include "tests/nn/conv_support.h"
#include <fstream>

namespace decorr::learning {
namespace {

using testing::HasSubstr;

at::Tensor matrix(const nlohmann::json& rows) {
  std::vector<double> values;
  for (const auto& row : rows)
    for (const auto& value : row) values.push_back(value.get<double>());
  return at::tensor(values, kFloat64).view({static_cast<std::int64_t>(rows.size()), -1});
}

// A loss that is no Loss: the golden numbers give the error of the output itself.
TEST(FeedbackAlignment, EqualsTheNumbersOfTheAuthorsCode) {
  std::ifstream file(std::string(DECORR_GOLDEN_DIR) + "/first_updates.json");
  const auto golden = nlohmann::json::parse(file).at("feedback_alignment_linear");
  nn::Linear layer(nn::LinearOptions(3, 2).decorrelation(quick("none")));
  layer->to(at::kDouble);
  {
    const at::NoGradGuard no_grad;
    layer->weight.copy_(matrix(golden.at("W")));
    layer->bias.copy_(at::tensor(golden.at("b").get<std::vector<double>>(), kFloat64));
  }
  layer->set_hooks({{}, {}, matrix(golden.at("feedback"))});
  const at::Tensor x = matrix(golden.at("x")).requires_grad_();
  const at::Tensor y = layer->forward(x);
  y.backward(matrix(golden.at("grad_output")));
  EXPECT_LE(max_error(y, matrix(golden.at("y"))), 1e-12);
  EXPECT_LE(max_error(x.grad(), matrix(golden.at("grad_x"))), 1e-12);
  EXPECT_LE(max_error(layer->weight.grad(), matrix(golden.at("grad_W"))), 1e-12);
  EXPECT_LE(max_error(layer->bias.grad(),
                      at::tensor(golden.at("grad_b").get<std::vector<double>>(), kFloat64)),
            1e-12);
}

// The formula of the rule, written out for a perceptron of two hidden layers.
TEST(FeedbackAlignment, EqualsItsFormula) {
  const auto model = small_mlp(quick("norm-preserving"));
  const at::Tensor x = rows(20, 1), target = labels(20, 4, 1);
  FeedbackAlignment rule(model, Loss("cross-entropy"), {}, x);
  optim::Sgd sgd(optim::named_parameters(*model));
  for (int i = 0; i < 3; ++i) {  // so that R is not the identity
    rule.accumulate(x, target);
    rule.step(sgd, 0.1);
    sgd.zero_grad();
    update(*model, sgd);
  }
  rule.accumulate(x, target);
  const auto gradients = take_gradients(*model);

  const at::NoGradGuard no_grad;
  const auto layers = nn::decorrelated_layers(*model);
  const auto [u, a] = naive_pass(*model, x);
  at::Tensor delta = (at::softmax(a[3], 1) - at::one_hot(target, 4)) / 20;
  for (std::size_t i = 4; i-- > 0;) {
    EXPECT_LE(max_error(gradients[2 * i].second, at::matmul(delta.t(), u[i])), 1e-14) << i;
    EXPECT_LE(max_error(gradients[2 * i + 1].second, delta.sum(0)), 1e-14) << i;
    if (i == 0) break;
    const at::Tensor b = rule.feedback(layers[i].path);
    delta = at::matmul(at::matmul(delta, b), layers[i].layer->decorrelator()->matrix()) *
            (1 - at::tanh(a[i - 1]).square());
  }
  EXPECT_FALSE(rule.feedback("layers.0").defined());
}

TEST(FeedbackRules, FeedbackHasTheScaleOfTheWeights) {
  nn::ResNet18 model(nn::ResNet18Options(2, 4).width(4).batch_norm(false).decorrelation(
      nn::everywhere(quick("none"))));
  const at::Tensor x = at::ones({1, 2, 16, 16});
  for (const char* init : {"uniform", "normal"}) {
    RuleOptions options;
    options.feedback_init = init;
    options.feedback_scale = 3;
    FeedbackAlignment rule(model, Loss("cross-entropy"), options, x);
    for (const auto& located : nn::decorrelated_layers(*model)) {
      const at::Tensor b = rule.feedback(located.path);
      if (!b.defined()) continue;
      SCOPED_TRACE(located.path);
      const at::Tensor weights = located.layer->weights().detach();
      const double rms = weights.square().mean().sqrt().item<double>();
      const double expected =
          3 * (rms > 0
                   ? rms
                   : 1 / std::sqrt(3.0 * static_cast<double>(weights.numel() / weights.size(0))));
      // The mean square of q entries has a standard error of at most √(2/q).
      const double error = std::sqrt(2.0 / static_cast<double>(b.numel()));
      EXPECT_NEAR(b.square().mean().item<double>() / (expected * expected), 1, 6 * error);
      EXPECT_EQ(b.sizes(), weights.sizes());
      // Uniform numbers end at √3; of hundreds of normal ones some are beyond.
      const double largest = b.abs().max().item<double>() / expected;
      if (std::string(init) == "uniform") {
        EXPECT_LE(largest, 1.7321);
      } else if (b.numel() > 500) {
        EXPECT_GT(largest, 1.7321);
      }
    }
  }
}

TEST(FeedbackRules, DrawWhatTheSeedSays) {
  const auto model = small_mlp(quick("none"));
  const at::Tensor x = rows(4, 0);
  for (const char* name : {"feedback-alignment", "direct-feedback-alignment", "kolen-pollack"}) {
    SCOPED_TRACE(name);
    const auto drawn = [&](std::uint64_t seed) {
      RuleOptions options;
      options.seed = seed;
      return make_rule(name, model, Loss("cross-entropy"), options, x)
          ->state_dict()
          .at("layers.1.feedback");
    };
    EXPECT_TRUE(at::equal(drawn(0), drawn(0)));
    EXPECT_FALSE(at::equal(drawn(0), drawn(1)));
  }
}

TEST(FeedbackRules, AreSeededAndGoOnFromTheirState) {
  const at::Tensor x = rows(24, 0);
  for (const char* name : {"feedback-alignment", "direct-feedback-alignment", "sign-symmetry",
                           "kolen-pollack", "node-perturbation", "weight-perturbation"}) {
    SCOPED_TRACE(name);
    RuleOptions options;
    options.magnitude = "batch";
    const auto train = [&](nn::MlpImpl& model, Rule& rule, optim::Optimizer& optimizer,
                           std::uint64_t from, std::uint64_t to) {
      for (std::uint64_t i = from; i < to; ++i) {
        rule.accumulate(rows(24, i), labels(24, 4, i));
        rule.step(optimizer, 0.01);
        optimizer.zero_grad();
        update(model, optimizer);
      }
    };
    const auto whole = small_mlp(quick("norm-preserving"));
    const auto whole_rule = make_rule(name, whole, Loss("cross-entropy"), options, x);
    optim::Adam whole_adam(optim::named_parameters(*whole));
    train(*whole, *whole_rule, whole_adam, 0, 6);

    const auto half = small_mlp(quick("norm-preserving"));
    const auto half_rule = make_rule(name, half, Loss("cross-entropy"), options, x);
    optim::Adam half_adam(optim::named_parameters(*half));
    train(*half, *half_rule, half_adam, 0, 3);
    const auto rest = small_mlp(quick("norm-preserving"));
    // Drawn matrices are overwritten by the state; draws to come depend on the seed.
    if (std::string(name).find("perturbation") == std::string::npos &&
        std::string(name) != "sign-symmetry")
      options.seed = 99;
    const auto rest_rule = make_rule(name, rest, Loss("cross-entropy"), options, x);
    optim::Adam rest_adam(optim::named_parameters(*rest));
    nn::copy_state(*half, *rest);
    rest_rule->load_state_dict(half_rule->state_dict());
    rest_adam.load_state_dict(half_adam.state_dict());
    train(*rest, *rest_rule, rest_adam, 3, 6);
    EXPECT_EQ(nn::difference(*whole, *rest), "");
  }
}

TEST(FeedbackRules, ACloneBelongsToNoRule) {
  const auto model = small_mlp(quick("norm-preserving"));
  const at::Tensor x = rows(24, 0), target = labels(24, 4, 0);
  FeedbackAlignment rule(model, Loss("cross-entropy"), {}, x);
  const auto clone = std::dynamic_pointer_cast<nn::MlpImpl>(model->clone());
  const at::Tensor before = rule.feedback("layers.1").clone();
  make_rule("backprop", clone, Loss("cross-entropy"))->accumulate(x, target);
  nn::descend(*clone, 0.1);
  update(*clone);
  EXPECT_TRUE(at::equal(rule.feedback("layers.1"), before));
  rule.accumulate(x, target);
  update(*model);
  EXPECT_FALSE(at::equal(rule.feedback("layers.1"), before));
  // And outside of accumulate() the model itself is differentiated as ever.
  take_gradients(*model);
  const auto check = [&](nn::MlpImpl& m) {
    return torch::autograd::grad({Loss("cross-entropy")(m.forward(x), target)},
                                 {m.parameters()[0]})[0];
  };
  const auto twin = std::dynamic_pointer_cast<nn::MlpImpl>(model->clone());
  EXPECT_TRUE(at::equal(check(*model), check(*twin)));
}

TEST(FeedbackRules, LetGoOfTheModel) {
  const auto model = small_mlp(quick("norm-preserving"));
  const at::Tensor x = rows(24, 0);
  at::Tensor b;
  {
    FeedbackAlignment rule(model, Loss("cross-entropy"), {}, x);
    b = rule.feedback("layers.1");
  }
  const at::Tensor before = b.clone();
  make_rule("backprop", model, Loss("cross-entropy"))->accumulate(x, labels(24, 4, 0));
  update(*model);
  EXPECT_TRUE(at::equal(b, before));
}

TEST(FeedbackRules, RefuseWhatTheyCannotServe) {
  const Loss loss("cross-entropy");
  const auto model = small_mlp(quick("none"));
  const at::Tensor x = rows(2, 0);
  for (const char* name :
       {"feedback-alignment", "direct-feedback-alignment", "sign-symmetry", "kolen-pollack"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(message_of([&] { make_rule(name, model, loss); }),
                HasSubstr(std::string("[") + name + "] needs an example of the network's input"));
    torch::nn::Sequential mixed(nn::Linear(6, 5), torch::nn::Linear(5, 4));
    EXPECT_THAT(message_of([&] { make_rule(name, mixed, loss, {}, x.to(at::kFloat)); }),
                HasSubstr("cannot serve 1, a torch::nn::LinearImpl, which sends its error back "
                          "through its own weights"));
  }
  const auto bad = [&](auto change) {
    RuleOptions options;
    change(options);
    return message_of([&] { make_rule("feedback-alignment", model, loss, options, x); });
  };
  EXPECT_THAT(bad([](RuleOptions& o) { o.feedback_init = "zeros"; }),
              HasSubstr("feedback_init must be one of uniform, normal, weights, got \"zeros\""));
  EXPECT_THAT(bad([](RuleOptions& o) { o.feedback_scale = 0; }),
              HasSubstr("feedback_scale must be finite and greater than 0, got 0"));
  EXPECT_THAT(bad([](RuleOptions& o) { o.feedback_space = "output"; }),
              HasSubstr("feedback_space must be one of input, decorrelated, got \"output\""));
  EXPECT_THAT(bad([](RuleOptions& o) { o.magnitude = "big"; }),
              HasSubstr("magnitude must be one of uniform, fixed, batch, got \"big\""));

  FeedbackAlignment rule(model, loss, {}, x);
  auto state = rule.state_dict();
  state.erase("layers.1.feedback");
  EXPECT_THAT(message_of([&] { rule.load_state_dict(state); }),
              HasSubstr("[Rule] state layers.1.feedback is missing"));
  state = rule.state_dict();
  state["layers.1.feedback"] = at::zeros({2, 2}, kFloat64);
  EXPECT_THAT(message_of([&] { rule.load_state_dict(state); }),
              HasSubstr("[Rule] state layers.1.feedback must be Double[7, 8], got Double[2, 2]"));
  state = rule.state_dict();
  state["batches"] = at::zeros({}, at::kLong);
  EXPECT_THAT(message_of([&] { rule.load_state_dict(state); }),
              HasSubstr("[Rule] state batches is unknown to this rule"));
}

}  // namespace
}  // namespace decorr::learning
