#include "decorr/nn/mlp.h"

#include "decorr/nn/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "tests/nn/model_checks.h"
#include <vector>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The same network of LibTorch's own layers.
class PlainMlp : public torch::nn::Module {
 public:
  PlainMlp(const std::vector<std::int64_t>& widths, std::size_t activated, std::string activation)
      : activated_(activated), activation_(std::move(activation)) {
    for (std::size_t i = 0; i + 1 < widths.size(); ++i)
      layers_.push_back(
          register_module(std::to_string(i), torch::nn::Linear(widths[i], widths[i + 1])));
    to(at::kDouble);
  }

  at::Tensor forward(at::Tensor x) {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i](x);
      if (i < activated_) x = apply(x);
    }
    return x;
  }

 private:
  at::Tensor apply(const at::Tensor& x) const {
    if (activation_ == "relu") return at::clamp_min(x, 0);
    if (activation_ == "leaky-relu") return at::where(x > 0, x, x * 0.01);
    if (activation_ == "tanh") return at::tanh(x);
    if (activation_ == "sigmoid") return 1 / (1 + (-x).exp());
    if (activation_ == "gelu") return x * 0.5 * (1 + at::erf(x / std::sqrt(2.0)));
    if (activation_ == "elu") return at::where(x > 0, x, x.exp() - 1);
    if (activation_ == "silu") return x / (1 + (-x).exp());
    EXPECT_EQ(activation_, "identity");
    return x;
  }

  std::size_t activated_;
  std::string activation_;
  std::vector<torch::nn::Linear> layers_;
};

void expect_plain(const MlpOptions& options, std::size_t activated) {
  Mlp model(options);
  model->to(at::kDouble);
  std::vector<std::int64_t> widths = {options.inputs()};
  widths.insert(widths.end(), options.hidden().begin(), options.hidden().end());
  widths.push_back(options.outputs());
  PlainMlp plain(widths, activated, options.activation());
  const std::vector<at::Tensor> ours = model->parameters();
  const std::vector<at::Tensor> theirs = plain.parameters();
  ASSERT_EQ(ours.size(), theirs.size());
  EXPECT_EQ(model->buffers().size(), 0U);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const at::NoGradGuard no_grad;
    theirs[i].copy_(ours[i]);
  }
  const at::Tensor x = correlated({9, options.inputs()}, 1) * 2;
  const at::Tensor output = model(x);
  const at::Tensor expected = plain.forward(x);
  EXPECT_LE(max_error(output, expected), 1e-12);
  output.square().sum().backward();
  expected.square().sum().backward();
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_LE(max_error(ours[i].grad(), theirs[i].grad()),
              1e-12 * (1 + theirs[i].grad().abs().max().item<double>()));
}

MlpOptions plain_options(std::vector<std::int64_t> hidden) {
  return MlpOptions(6, std::move(hidden), 3).decorrelation(everywhere(method("none"))).seed(4);
}

TEST(Mlp, WithoutDecorrelationIsAPlainNetworkForEveryActivation) {
  ASSERT_THAT(activations(), ElementsAre("relu", "leaky-relu", "tanh", "sigmoid", "gelu", "elu",
                                         "silu", "identity"));
  for (const std::string& name : activations()) {
    SCOPED_TRACE(name);
    expect_plain(plain_options({8, 5, 7}).activation(name), 3);
  }
  expect_plain(plain_options({}), 0);
}

TEST(Mlp, PublishedActivationsLeaveOutTheLastHiddenLayer) {
  expect_plain(plain_options({8, 5, 7}).published_activations(true), 2);
  expect_plain(plain_options({8}).published_activations(true), 0);
  expect_plain(plain_options({}).published_activations(true), 0);
}

TEST(Mlp, AsksThePlanWithTheLayersPaths) {
  std::vector<std::string> asked;
  const auto plan = [&asked](const std::string& path) {
    asked.push_back(path);
    return method(path == "layers.1" ? "none" : path == "layers.2" ? "standardize" : "copi");
  };
  Mlp model(MlpOptions(6, {8, 5}, 3).decorrelation(plan));
  EXPECT_THAT(asked, ElementsAre("layers.0", "layers.1", "layers.2"));

  std::vector<std::string> paths, methods;
  for (const LocatedLayer& located : decorrelated_layers(*model)) {
    paths.push_back(located.path);
    methods.push_back(located.layer->decorrelator()->options().method);
  }
  EXPECT_THAT(paths, ElementsAre("layers.0", "layers.1", "layers.2"));
  EXPECT_THAT(methods, ElementsAre("copi", "none", "standardize"));
  EXPECT_EQ(model->named_buffers()["layers.0.decorrelator.matrix"].sizes(),
            (at::IntArrayRef{6, 6}));
  EXPECT_EQ(model->named_buffers()["layers.2.decorrelator.matrix"].sizes(), (at::IntArrayRef{5}));
}

TEST(Mlp, NamesItsParameters) {
  std::vector<std::string> names;
  for (const auto& item : Mlp(MlpOptions(6, {8}, 3))->named_parameters())
    names.push_back(item.key());
  EXPECT_THAT(names,
              ElementsAre("layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"));
  EXPECT_EQ(Mlp(MlpOptions(6, {8}, 3).bias(false))->parameters().size(), 2U);
}

TEST(Mlp, SeedDecidesAllAndLayersDiffer) {
  const auto build = [](std::uint64_t seed) { return Mlp(MlpOptions(6, {6, 6}, 6).seed(seed)); };
  const auto train = [](Mlp& model) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      model(correlated({32, 6}, i).to(at::kFloat)).square().mean().backward();
      descend(*model, 0.1);
      update(*model);
    }
  };
  Mlp first = build(1);
  Mlp same = build(1);
  Mlp other = build(2);
  train(first);
  train(same);
  EXPECT_EQ(difference(*first, *same), "");
  EXPECT_NE(difference(*first, *other), "");

  const auto fresh = build(1)->named_parameters();
  EXPECT_GT(max_error(fresh["layers.0.weight"], fresh["layers.1.weight"]), 0.1);
  EXPECT_GT(max_error(fresh["layers.1.weight"], fresh["layers.2.weight"]), 0.1);
  EXPECT_GT(max_error(fresh["layers.0.weight"], other->named_parameters()["layers.0.weight"]), 0.1);
}

TEST(Mlp, FlattensEachSample) {
  Mlp model(MlpOptions(24, {5}, 3));
  model->eval();
  const at::Tensor images = normal({7, 2, 3, 4}, 1).to(at::kFloat);
  EXPECT_EQ(model(images).sizes(), (at::IntArrayRef{7, 3}));
  EXPECT_TRUE(at::equal(model(images), model(images.reshape({7, 24}))));
}

TEST(Mlp, CloneIsIndependent) {
  Mlp original(MlpOptions(6, {8}, 3).decorrelation(every_step()).seed(1));
  const at::Tensor x = correlated({32, 6}, 1).to(at::kFloat);
  const auto step = [&x](MlpImpl& model) {
    model.forward(x).square().mean().backward();
    descend(model, 0.1);
    update(model);
  };
  const auto probe = [&x](MlpImpl& model) {
    model.eval();
    const at::Tensor output = model.forward(x).detach();
    model.train();
    return output;
  };
  step(*original);
  const auto copy = std::dynamic_pointer_cast<MlpImpl>(original->clone());
  ASSERT_TRUE(copy);
  EXPECT_EQ(difference(*original, *copy), "");
  const at::Tensor before = probe(*original);
  EXPECT_TRUE(at::equal(probe(*copy), before));
  step(*original);
  EXPECT_FALSE(at::equal(probe(*original), before));
  EXPECT_TRUE(at::equal(probe(*copy), before));
  // And it goes on as the original did.
  step(*copy);
  EXPECT_EQ(difference(*original, *copy), "");
  EXPECT_TRUE(at::equal(probe(*copy), probe(*original)));
}

TEST(Mlp, RestoredStateTakesTheSameNextStep) {
  Mlp original(MlpOptions(6, {8}, 3).decorrelation(every_step()).seed(1));
  const auto step = [](MlpImpl& model, std::uint64_t stream) {
    model.forward(correlated({32, 6}, stream).to(at::kFloat)).square().mean().backward();
    descend(model, 0.1);
    update(model);
  };
  for (std::uint64_t i = 0; i < 3; ++i) step(*original, i);
  Mlp restored(MlpOptions(6, {8}, 3).decorrelation(every_step()).seed(1));
  copy_state(*original, *restored);
  for (std::uint64_t i = 3; i < 6; ++i) {
    step(*original, i);
    step(*restored, i);
  }
  EXPECT_EQ(difference(*original, *restored), "");
}

TEST(Mlp, RebuildsWithAnotherPlan) {
  expect_rebuilds_with_another_plan(*Mlp(MlpOptions(6, {8}, 3).activation("tanh")));
}

Mlp normalized() {
  Mlp model(
      MlpOptions(6, {16, 16}, 3).batch_norm(true).activation("tanh").decorrelation(every_step()));
  model->to(at::kDouble);
  return model;
}

at::Tensor rows() { return correlated({9, 6}, 1); }

TEST(Mlp, BatchNormStandsBetweenALayerAndItsActivation) {
  Mlp model(MlpOptions(6, {8, 5}, 3)
                .batch_norm(true)
                .activation("tanh")
                .decorrelation(everywhere(method("none"))));
  model->to(at::kDouble);
  auto p = model->named_parameters();
  const auto hidden = [&](const at::Tensor& x, const std::string& i) {
    const at::Tensor y = at::linear(x, p["layers." + i + ".weight"], p["layers." + i + ".bias"]);
    const at::Tensor centred = y - y.mean(0);
    const at::Tensor unit = centred / (centred.square().mean(0) + 1e-5).sqrt();
    return at::tanh(unit * p["norms." + i + ".weight"] + p["norms." + i + ".bias"]);
  };
  const at::Tensor expected =
      at::linear(hidden(hidden(rows(), "0"), "1"), p["layers.2.weight"], p["layers.2.bias"]);
  EXPECT_LE(max_error(model(rows()), expected), 1e-12);
  EXPECT_THAT(
      message_of([&] { model(rows().narrow(0, 0, 1)); }),
      HasSubstr("[Mlp] batch normalization needs two samples in training mode, got [1, 6]"));
  model->eval();
  EXPECT_NO_THROW(model(rows().narrow(0, 0, 1)));
}

TEST(Mlp, BatchNormGoesWithAllThatAModelDoes) {
  expect_gradients_of_the_loss(*normalized(), rows());
  expect_updates_preserve_the_function(*normalized(), rows());
  expect_learns(*normalized(), rows());
  expect_clone_is_independent(*normalized(), rows());
  expect_restored_state_goes_on(*normalized(), *normalized(), rows());
  expect_rebuilds_with_another_plan(*normalized());
}

TEST(Mlp, RefusesBadArguments) {
  EXPECT_THAT(message_of([] { Mlp(MlpOptions(6, {8}, 3).activation("swoosh")); }),
              HasSubstr("[activation] must be one of relu, leaky-relu, tanh, sigmoid, gelu, elu, "
                        "silu, identity, got \"swoosh\""));
  EXPECT_THAT(message_of([] { Mlp(MlpOptions(6, {0}, 3)); }),
              HasSubstr("out_features must be at least 1, got 0"));
  Mlp model(MlpOptions(6, {8}, 3));
  EXPECT_THAT(message_of([&] {
                model(at::zeros({4, 5}));
              }),
              HasSubstr("[Mlp] input must be [N, ..] with 6 numbers a sample and N > 0, "
                        "got [4, 5]"));
  EXPECT_THAT(message_of([&] { model(at::zeros({6})); }), HasSubstr("got [6]"));
  EXPECT_THAT(message_of([&] { model(at::zeros({0, 6})); }), HasSubstr("got [0, 6]"));
}

}  // namespace
}  // namespace decorr::nn
