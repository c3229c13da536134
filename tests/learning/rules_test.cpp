// What every learning rule must do, with every kind of decorrelation and network.
#include "decorr/learning/alignment.h"
#include "decorr/learning/rule.h"
#include "decorr/nn/convnet.h"
#include "decorr/nn/recurrent.h"
#include "decorr/nn/resnet.h"
#include "decorr/nn/transformer.h"
#include "decorr/optim/adam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/learning/support.h"
#include <algorithm>
#include <functional>

namespace decorr::learning {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kRules = {
    "backprop",      "feedback-alignment", "direct-feedback-alignment", "sign-symmetry",
    "kolen-pollack", "node-perturbation",  "weight-perturbation"};

// Two classes that the first numbers of a sample tell.
at::Tensor classes_of(const at::Tensor& x) {
  return (x.flatten(1).slice(1, 0, 2).sum(1) > 2).to(at::kLong);
}

double loss_of(const Network& network, const at::Tensor& x, const at::Tensor& target) {
  const at::NoGradGuard no_grad;
  network.module->eval();
  const double loss = Loss("cross-entropy")(network.forward(x), target).item<double>();
  network.module->train();
  return loss;
}

constexpr double kRate = 0.01;

// What part of the loss is left after 50 steps: noisy gradients find their way slowly.
double share_of(const std::string& rule) {
  return rule.find("perturbation") != std::string::npos ? 0.985 : 0.95;
}

// Trains for 50 steps: the loss falls, every parameter changes.
template <typename Model>
void expect_trains(const std::shared_ptr<Model>& model, const std::string& name,
                   const RuleOptions& options, const at::Tensor& x) {
  const at::Tensor target = classes_of(x);
  const auto rule = make_rule(name, model, Loss("cross-entropy"), options, x);
  optim::Adam adam(optim::named_parameters(*model));
  const double first = loss_of(model, x, target);
  const auto before = nn::state_of(*model);
  const auto kept = rule->state_dict();
  std::vector<double> largest(model->parameters().size(), 0);
  for (int i = 0; i < 50; ++i) {
    rule->accumulate(x, target);
    // update() moves weights too, so that only their gradients tell whether they learn.
    for (std::size_t j = 0; j < largest.size(); ++j)
      if (const at::Tensor& g = model->parameters()[j].grad(); g.defined())
        largest[j] = std::max(largest[j], g.abs().max().item<double>());
    rule->step(adam, kRate);
    adam.zero_grad();
    update(*model, adam);
  }
  EXPECT_LT(loss_of(model, x, target), share_of(name) * first);
  const auto after = nn::state_of(*model);
  const std::size_t parameters = model->named_parameters().size();
  for (std::size_t i = 0; i < parameters; ++i) {
    EXPECT_GT(largest[i], 0) << before[i].first;
    EXPECT_FALSE(at::equal(before[i].second, after[i].second)) << before[i].first;
  }
  // Feedback that is fixed stays, but for following R.
  bool follows = name == "kolen-pollack";
  for (const auto& located : nn::decorrelated_layers(*model))
    follows = follows || (name == "feedback-alignment" && located.layer->decorrelator()->active() &&
                          options.feedback_space == "input");
  if (follows) return;
  for (const auto& [key, tensor] : rule->state_dict())
    EXPECT_TRUE(key == "batches" || at::equal(tensor, kept.at(key))) << key;
}

std::shared_ptr<nn::MlpImpl> wide_mlp(const std::string& method) {
  return std::make_shared<nn::MlpImpl>(
      nn::MlpOptions(6, {16, 16}, 2).decorrelation(nn::everywhere(quick(method))).seed(3));
}

std::shared_ptr<nn::ConvNetImpl> wide_convnet(const std::string& method) {
  return std::make_shared<nn::ConvNetImpl>(nn::ConvNetOptions({2, 8, 6}, 2)
                                               .conv_widths({4, 6})
                                               .dense_widths({16})
                                               .decorrelation(nn::everywhere(quick(method)))
                                               .seed(3));
}

TEST(LearningRules, TrainWithEveryDecorrelationAndLayer) {
  const at::Tensor x = rows(256, 1).to(at::kFloat), images = pictures(128, 1).to(at::kFloat);
  for (const std::string& name : kRules)
    for (const char* method : {"none", "norm-preserving", "zca"}) {
      SCOPED_TRACE(testing::Message() << name << ", " << method);
      expect_trains(wide_mlp(method), name, {}, x);
      expect_trains(wide_convnet(method), name, {}, images);
    }
}

TEST(LearningRules, TrainWithEverySettingOfTheirOwn) {
  const at::Tensor x = rows(256, 1).to(at::kFloat);
  const auto trains = [&](const char* name, const std::function<void(RuleOptions&)>& change) {
    RuleOptions options;
    change(options);
    expect_trains(wide_mlp("norm-preserving"), name, options, x);
  };
  for (const char* init : {"uniform", "normal", "weights"})
    for (const char* space : {"input", "decorrelated"})
      for (const char* name : {"feedback-alignment", "kolen-pollack"}) {
        SCOPED_TRACE(testing::Message() << name << ", " << init << ", " << space);
        trains(name, [&](RuleOptions& o) {
          o.feedback_init = init;
          o.feedback_space = space;
        });
      }
  for (const char* magnitude : {"uniform", "fixed", "batch"}) {
    SCOPED_TRACE(magnitude);
    trains("sign-symmetry", [&](RuleOptions& o) { o.magnitude = magnitude; });
  }
  for (const char* variant : {"simultaneous", "iterative", "activity-based"})
    for (const bool antithetic : {false, true}) {
      SCOPED_TRACE(testing::Message() << variant << ", " << antithetic);
      trains("node-perturbation", [&](RuleOptions& o) {
        o.variant = variant;
        o.antithetic = antithetic;
      });
    }
  trains("weight-perturbation", [](RuleOptions& o) { o.antithetic = true; });
}

TEST(LearningRules, TrainEveryModel) {
  const nn::DecorrelationPlan plan = nn::everywhere(quick("norm-preserving"));
  const at::Tensor images = nn::correlated({32, 2, 8, 8}, 1).to(at::kFloat);
  for (const std::string& name : kRules) {
    SCOPED_TRACE(name);
    const auto resnet = [&](bool norm) {
      return std::make_shared<nn::ResNet18Impl>(
          nn::ResNet18Options(2, 2).width(4).batch_norm(norm).decorrelation(plan).seed(3));
    };
    const auto transformer = std::make_shared<nn::TransformerImpl>(
        nn::TransformerOptions({2, 8, 8}, 2).width(8).depth(1).heads(2).decorrelation(plan));
    const auto recurrent = std::make_shared<nn::RecurrentImpl>(
        nn::RecurrentOptions({2, 8, 8}, 2).width(8).decorrelation(plan));
    expect_trains(resnet(false), name, {}, images);
    expect_trains(recurrent, name, {}, images);
    if (name == "node-perturbation") {
      EXPECT_THAT(message_of([&] { make_rule(name, resnet(true), Loss("cross-entropy")); }),
                  HasSubstr("batch normalization"));
      continue;
    }
    expect_trains(resnet(true), name, {}, images);
    expect_trains(transformer, name, {}, images);
    expect_trains(std::make_shared<nn::ConvNetImpl>(nn::ConvNetOptions({2, 8, 8}, 2)
                                                        .conv_widths({4, 4})
                                                        .dense_widths({8})
                                                        .batch_norm(true)
                                                        .decorrelation(plan)),
                  name, {}, images);
    expect_trains(std::make_shared<nn::MlpImpl>(
                      nn::MlpOptions(2 * 8 * 8, {16, 16}, 2).batch_norm(true).decorrelation(plan)),
                  name, {}, images);
  }
}

TEST(LearningRules, LeaveFrozenParametersAlone) {
  const at::Tensor x = rows(32, 1), target = labels(32, 4, 1);
  for (const std::string& name : kRules)
    for (const char* kind : {"weight", "bias"}) {
      SCOPED_TRACE(testing::Message() << name << ", " << kind);
      const auto model = small_mlp(quick("none"));
      at::Tensor frozen = model->named_parameters()[std::string("layers.1.") + kind];
      frozen.set_requires_grad(false);
      const at::Tensor before = frozen.clone();
      RuleOptions options;
      const auto rule = make_rule(name, model, Loss("cross-entropy"), options, x);
      const at::Tensor b = rule->feedback("layers.1");
      const at::Tensor b_before = b.defined() ? b.clone() : b;
      optim::NamedParameters learning;
      for (const auto& item : model->named_parameters())
        if (item.value().requires_grad()) learning.emplace_back(item.key(), item.value());
      optim::Adam adam(learning, optim::AdamOptions().weight_decay(0.1));
      rule->accumulate(x, target);
      EXPECT_FALSE(frozen.grad().defined());
      for (const auto& item : learning) EXPECT_TRUE(item.second.grad().defined()) << item.first;
      rule->step(adam, 0.01);
      EXPECT_TRUE(at::equal(frozen, before));
      if (b.defined() && std::string(kind) == "weight") {
        EXPECT_TRUE(at::equal(rule->feedback("layers.1"), b_before));
      }
    }
}

TEST(LearningRules, RefuseWhatLearnsOnlyAfterTheyAreBuilt) {
  const at::Tensor x = rows(8, 1), target = labels(8, 4, 1);
  for (const char* name :
       {"feedback-alignment", "direct-feedback-alignment", "sign-symmetry", "kolen-pollack"}) {
    SCOPED_TRACE(name);
    const auto model = small_mlp(quick("none"));
    for (const char* kind : {"weight", "bias"})
      model->named_parameters()[std::string("layers.0.") + kind].set_requires_grad(false);
    const auto rule = make_rule(name, model, Loss("cross-entropy"), {}, x);
    rule->accumulate(x, target);
    model->named_parameters()["layers.0.weight"].set_requires_grad(true);
    EXPECT_THAT(message_of([&] { rule->accumulate(x, target); }),
                HasSubstr("layers.1 read the data when the rule was built, and now reads what "
                          "learns"));
  }
}

TEST(LearningRules, CheckTheirOptionsWhateverTheyRead) {
  RuleOptions options;
  options.sigma = -1;
  EXPECT_THAT(message_of([&] {
                make_rule("backprop", small_mlp(quick("none")), Loss("cross-entropy"), options);
              }),
              HasSubstr("sigma must be finite and greater than 0, got -1"));
}

TEST(LearningRules, WeightedMicroBatchesAddUpToTheBatch) {
  for (const char* name :
       {"feedback-alignment", "direct-feedback-alignment", "sign-symmetry", "kolen-pollack"}) {
    SCOPED_TRACE(name);
    const at::Tensor x = rows(30, 1), target = labels(30, 4, 1);
    const auto gradients = [&](std::vector<std::int64_t> counts) {
      const auto model = small_mlp(quick("none"));
      const auto rule = make_rule(name, model, Loss("cross-entropy"), {}, x);
      std::int64_t first = 0;
      for (const std::int64_t count : counts) {
        rule->accumulate(x.narrow(0, first, count), target.narrow(0, first, count),
                         static_cast<double>(count) / 30);
        first += count;
      }
      return take_gradients(*model);
    };
    const auto whole = gradients({30}), parts = gradients({15, 10, 5});
    for (std::size_t i = 0; i < whole.size(); ++i)
      EXPECT_LE(relative_error(parts[i].second, whole[i].second), 1e-12) << whole[i].first;
  }
}

TEST(LearningRules, PerturbationsOfMicroBatchesDiffer) {
  for (const char* name : {"node-perturbation", "weight-perturbation"}) {
    const auto model = small_mlp(quick("none"));
    const auto rule = make_rule(name, model, Loss("cross-entropy"));
    const at::Tensor x = rows(8, 1), target = labels(8, 4, 1);
    rule->accumulate(x, target);
    const auto first = take_gradients(*model);
    rule->accumulate(x, target);
    const auto second = take_gradients(*model);
    EXPECT_FALSE(at::equal(first[0].second, second[0].second)) << name;
  }
}

class DoubledBackprop : public Rule {
 public:
  DoubledBackprop(Network network, Loss loss)
      : inner_(make_rule("backprop", std::move(network), loss)) {}
  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight) override {
    return inner_->accumulate(input, target, 2 * weight);
  }

 private:
  std::unique_ptr<Rule> inner_;
};

TEST(LearningRules, OnesOwnCanBeRegistered) {
  register_rule("doubled",
                [](Network network, const Loss& loss, const RuleOptions&, const at::Tensor&) {
                  return std::make_unique<DoubledBackprop>(std::move(network), loss);
                });
  const auto model = small_mlp(quick("none"));
  const at::Tensor x = rows(8, 1), target = labels(8, 4, 1);
  make_rule("doubled", model, Loss("cross-entropy"))->accumulate(x, target);
  const auto twice = take_gradients(*model);
  make_rule("backprop", model, Loss("cross-entropy"))->accumulate(x, target);
  const auto once = take_gradients(*model);
  EXPECT_LE(relative_error(twice[0].second, 2 * once[0].second), 1e-14);
  const auto again = [] { return register_rule("doubled", {}); };
  EXPECT_THAT(message_of(again), HasSubstr("there is a learning rule \"doubled\" already"));
  EXPECT_THAT(message_of([] { register_rule("", {}); }), HasSubstr("must not be empty"));
}

}  // namespace
}  // namespace decorr::learning
