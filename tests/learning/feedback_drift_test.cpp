// With B = W the rules with feedback matrices are backpropagation.
#include "decorr/learning/kolen_pollack.h"
#include "decorr/learning/sign_symmetry.h"
#include "decorr/optim/adam.h"

#include <gtest/gtest.h>

#include "tests/learning/support.h"
#include "tests/nn/conv_support.h"
#include <functional>

namespace decorr::learning {
namespace {

// Trains by `rule`, whose B is kept at W by `follow`, beside backpropagation; returns the largest
// relative difference of a parameter after 20 steps.
template <typename Model, typename Make, typename Follow>
double drift(const Model& build, const Make& make, const Follow& follow,
             const std::function<at::Tensor(std::uint64_t)>& batch, double decay = 0) {
  const auto exact = build(), other = build();
  const Loss loss("cross-entropy");
  const auto backprop = make_rule("backprop", exact, loss);
  const auto rule = make(other, loss, batch(0));
  optim::Adam adam_exact(optim::named_parameters(*exact), optim::AdamOptions().weight_decay(decay));
  optim::Adam adam_other(optim::named_parameters(*other), optim::AdamOptions().weight_decay(decay));
  for (std::uint64_t i = 0; i < 20; ++i) {
    const at::Tensor x = batch(i), target = labels(x.size(0), 4, i);
    backprop->accumulate(x, target);
    backprop->step(adam_exact, 0.01);
    adam_exact.zero_grad();
    update(*exact, adam_exact);

    const auto before = nn::state_of(*other);
    rule->accumulate(x, target);
    rule->step(adam_other, 0.01);
    follow(*rule, *other, before);
    adam_other.zero_grad();
    update(*other, adam_other);
  }
  double largest = 0;
  const auto theirs = exact->named_parameters();
  for (const auto& item : other->named_parameters())
    largest = std::max(largest, relative_error(item.value(), theirs[item.key()]));
  for (const auto& item : other->named_buffers())
    if (item.key().find("matrix") != std::string::npos)
      largest = std::max(largest, relative_error(item.value(), exact->named_buffers()[item.key()]));
  return largest;
}

using State = std::vector<std::pair<std::string, at::Tensor>>;

// B receives the step that W has just taken.
void give_step(const Rule& rule, torch::nn::Module& model, const State& before) {
  const at::NoGradGuard no_grad;
  const auto parameters = model.named_parameters();
  for (const auto& located : nn::decorrelated_layers(model)) {
    at::Tensor b = rule.feedback(located.path);
    if (!b.defined()) continue;
    const std::string name = located.path + ".weight";
    for (const auto& [key, old] : before)
      if (key == name) b.add_(parameters[name] - old);
  }
}

RuleOptions from_weights(const char* space = "input") {
  RuleOptions options;
  options.feedback_init = "weights";
  options.feedback_space = space;
  return options;
}

template <typename R>
auto maker(const RuleOptions& options) {
  return [options](const auto& model, const Loss& loss, const at::Tensor& example) {
    return std::make_unique<R>(model, loss, options, example);
  };
}

const auto kNothing = [](const auto&, auto&, const auto&) {};

// |M| becomes that of the weights, so that B = W.
void give_magnitudes(Rule& rule, const torch::nn::Module& model) {
  auto state = rule.state_dict();
  for (const auto& item : model.named_parameters())
    if (item.key().size() > 7 && item.key().substr(item.key().size() - 7) == ".weight") {
      const std::string key = item.key().substr(0, item.key().size() - 7) + ".magnitude";
      if (state.count(key) > 0) state[key] = item.value().detach().abs();
    }
  rule.load_state_dict(state);
}

// SignSymmetry with the true magnitudes before each batch.
class TrueMagnitudes : public Rule {
 public:
  template <typename Model>
  TrueMagnitudes(const Model& model, const Loss& loss, const RuleOptions& options,
                 const at::Tensor& example)
      : model_(model), rule_(model, loss, options, example) {}
  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override {
    give_magnitudes(rule_, *model_);
    return rule_.accumulate(input, target, weight);
  }

 private:
  std::shared_ptr<torch::nn::Module> model_;
  SignSymmetry rule_;
};

RuleOptions fixed_magnitudes() {
  RuleOptions options;
  options.magnitude = "fixed";
  return options;
}

struct DecorrelationCase {
  const char* name;
  whitening::DecorrelatorOptions options;
};

std::vector<DecorrelationCase> decorrelations() {
  const auto with = [](const char* method, const char* structure, const char* pad,
                       const char* mean) {
    whitening::DecorrelatorOptions options = quick(method);
    options.structure = structure;
    options.pad = pad;
    options.mean = mean;
    return options;
  };
  whitening::DecorrelatorOptions published = whitening::DecorrelatorOptions::preset("published");
  published.lr = 0.01;
  return {{"none", quick("none")},
          {"norm-preserving", quick("norm-preserving")},
          {"zca", quick("zca")},
          {"standardize", quick("standardize")},
          {"lateral, block", with("lateral", "block(4)", "raw", "running")},
          {"copi, channel, demeaned", with("copi", "channel", "demeaned", "running")},
          {"relative-gradient, batch mean", with("relative-gradient", "full", "raw", "batch")},
          {"dbp, demeaned, batch mean", with("dbp", "full", "demeaned", "batch")},
          {"published", published}};
}

// With B = W each rule is backpropagation, whatever the decorrelation.
TEST(FeedbackRules, WithTheWeightsForFeedbackTheyAreBackpropagation) {
  for (const auto& item : decorrelations()) {
    SCOPED_TRACE(item.name);
    const auto mlp = [&] { return small_mlp(item.options); };
    const auto convnet = [&] { return small_convnet(item.options); };
    const auto batch = [](std::uint64_t i) { return rows(24, i); };
    const auto images = [](std::uint64_t i) { return pictures(6, i); };
    EXPECT_LE(drift(mlp, maker<FeedbackAlignment>(from_weights()), give_step, batch), 1e-12);
    EXPECT_LE(drift(convnet, maker<FeedbackAlignment>(from_weights()), give_step, images), 1e-12);
    EXPECT_LE(drift(mlp, maker<KolenPollack>(from_weights()), kNothing, batch, 0.1), 1e-12);
    EXPECT_LE(drift(convnet, maker<KolenPollack>(from_weights()), kNothing, images, 0.1), 1e-12);
    EXPECT_LE(drift(mlp, maker<TrueMagnitudes>(fixed_magnitudes()), kNothing, batch), 1e-12);
    EXPECT_LE(drift(convnet, maker<TrueMagnitudes>(fixed_magnitudes()), kNothing, images), 1e-12);
  }
}

// B that does not follow R loses W, which does.
TEST(FeedbackRules, WithoutFollowingRFeedbackDriftsFromTheWeights) {
  const auto batch = [](std::uint64_t i) { return rows(24, i); };
  const auto mlp = [](const char* method) { return [=] { return small_mlp(quick(method)); }; };
  const auto stays = maker<FeedbackAlignment>(from_weights("decorrelated"));
  EXPECT_GT(drift(mlp("norm-preserving"), stays, give_step, batch), 1e-4);
  EXPECT_GT(drift(mlp("zca"), stays, give_step, batch), 1e-4);
  EXPECT_LE(drift(mlp("none"), stays, give_step, batch), 1e-12);
  // And B that receives no step is not W any more either: the check above can fail.
  EXPECT_GT(drift(mlp("none"), maker<FeedbackAlignment>(from_weights()), kNothing, batch), 1e-4);
}

// A convolution of every kind between an image that learns and a dense layer.
class OneConvolutionImpl : public nn::Model, public torch::nn::Cloneable<OneConvolutionImpl> {
 public:
  OneConvolutionImpl(const nn::ConvCase<2>& item, const whitening::DecorrelatorOptions& options)
      : looks_(item.looks) {
    const nn::DecorrelationPlan plan = nn::everywhere(options);
    mix_ = register_module("mix", nn::Conv2d(nn::Conv2dOptions(torch::nn::Conv2dOptions(2, 4, 1))
                                                 .decorrelation(options)
                                                 .random(RandomStream(3, "mix"))));
    conv_ = register_module("conv", nn::Conv2d(nn::Conv2dOptions(item.options)
                                                   .decorrelation(options)
                                                   .random(RandomStream(3, "conv"))));
    const auto [height, width] = conv_->geometry().output(looks_.size[0], looks_.size[1]);
    head_ = register_module(
        "head", nn::Linear(nn::LinearOptions(item.options.out_channels() * height * width, 4)
                               .decorrelation(options)
                               .random(RandomStream(3, "head"))));
    to(at::kDouble);
  }
  void reset() override {}
  at::Tensor forward(const at::Tensor& input) override {
    return head_->forward(at::tanh(conv_->forward(at::tanh(mix_->forward(input)))).flatten(1));
  }
  std::shared_ptr<nn::Model> with_decorrelation(const nn::DecorrelationPlan&) const override {
    return nullptr;
  }

 private:
  nn::Looks looks_;
  nn::Conv2d mix_{nullptr}, conv_{nullptr};
  nn::Linear head_{nullptr};
};

TEST(FeedbackRules, ServeEveryKindOfConvolution) {
  for (const auto& item : nn::conv2d_cases()) {
    for (const auto& decorrelation : decorrelations()) {
      const std::string name = decorrelation.name;
      if (name != "none" && name != "norm-preserving" && name != "dbp, demeaned, batch mean")
        continue;
      SCOPED_TRACE(testing::Message() << item.name << ", " << name);
      const auto build = [&] {
        return std::make_shared<OneConvolutionImpl>(item, decorrelation.options);
      };
      const auto images = [&](std::uint64_t i) {
        return nn::correlated({6, 2, item.looks.size[0], item.looks.size[1]}, i);
      };
      EXPECT_LE(drift(build, maker<FeedbackAlignment>(from_weights()), give_step, images), 1e-12);
      EXPECT_LE(drift(build, maker<KolenPollack>(from_weights()), kNothing, images, 0.1), 1e-12);
      EXPECT_LE(drift(build, maker<TrueMagnitudes>(fixed_magnitudes()), kNothing, images), 1e-12);
    }
  }
}

}  // namespace
}  // namespace decorr::learning
