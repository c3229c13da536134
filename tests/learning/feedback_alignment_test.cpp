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
  std::vector<at::Tensor> u, a;
  at::Tensor h = x;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto& layer = dynamic_cast<nn::LinearImpl&>(*layers[i].layer);
    u.push_back(
        at::matmul(h - layer.decorrelator()->running_mean(), layer.decorrelator()->matrix().t()));
    a.push_back(at::matmul(u[i], layer.weight.t()) + layer.bias);
    h = at::tanh(a[i]);
  }
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
    }
  }
}

TEST(KolenPollack, WithDecayFeedbackConvergesToTheWeights) {
  const auto model = small_mlp(quick("norm-preserving"));
  KolenPollack rule(model, Loss("cross-entropy"), {}, rows(24, 0));
  optim::Sgd sgd(optim::named_parameters(*model), optim::SgdOptions().weight_decay(0.5));
  const auto distance = [&] {
    double sum = 0;
    for (const auto& located : nn::decorrelated_layers(*model))
      if (const at::Tensor b = rule.feedback(located.path); b.defined())
        sum += (located.layer->from_input(b) - located.layer->from_input(located.layer->weights()))
                   .square()
                   .sum()
                   .item<double>();
    return std::sqrt(sum);
  };
  const double first = distance();
  for (std::uint64_t i = 0; i < 20; ++i) {
    rule.accumulate(rows(24, i), labels(24, 4, i));
    rule.step(sgd, 0.1);
    sgd.zero_grad();
    update(*model, sgd);
  }
  EXPECT_NEAR(distance() / first, std::pow(1 - 0.1 * 0.5, 20), 1e-10);
}

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
    }
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
