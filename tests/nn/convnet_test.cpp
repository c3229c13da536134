#include "decorr/nn/convnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/model_checks.h"
#include <memory>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ConvNetOptions small() {
  return ConvNetOptions({2, 9, 6}, 3)
      .conv_widths({4, 5, 6, 7})
      .dense_widths({8})
      .decorrelation(every_step())
      .seed(3);
}

ConvNet small_net() {
  ConvNet model(small());
  model->to(at::kDouble);
  return model;
}

at::Tensor batch() { return images({8, 2, 9, 6}, 1); }

TEST(ConvNet, IsTheNetworkOfThePaper) {
  ConvNet model(ConvNetOptions({3, 32, 32}, 10));
  EXPECT_THAT(layer_paths(*model), ElementsAre("convolutions.0", "convolutions.1", "convolutions.2",
                                               "convolutions.3", "dense.0", "dense.1"));
  auto parameters = model->named_parameters();
  EXPECT_EQ(parameters["convolutions.0.weight"].sizes(), (at::IntArrayRef{32, 3, 3, 3}));
  EXPECT_EQ(parameters["convolutions.1.weight"].sizes(), (at::IntArrayRef{32, 32, 3, 3}));
  EXPECT_EQ(parameters["convolutions.2.weight"].sizes(), (at::IntArrayRef{64, 32, 3, 3}));
  EXPECT_EQ(parameters["convolutions.3.weight"].sizes(), (at::IntArrayRef{64, 64, 3, 3}));
  EXPECT_EQ(parameters["dense.0.weight"].sizes(), (at::IntArrayRef{1000, 64 * 8 * 8}));
  EXPECT_EQ(parameters["dense.1.weight"].sizes(), (at::IntArrayRef{10, 1000}));
}

TEST(ConvNet, ComputesWhatItsDescriptionSays) {
  ConvNet model(ConvNetOptions({2, 9, 6}, 3)
                    .conv_widths({4, 5, 6})
                    .dense_widths({8})
                    .decorrelation(everywhere(method("none"))));
  model->to(at::kDouble);
  auto p = model->named_parameters();
  const auto conv = [&](const at::Tensor& x, const std::string& path) {
    const at::Tensor y = at::conv2d(x, p[path + ".weight"], p[path + ".bias"], 1, 1);
    return at::where(y > 0, y, y * 0.01);
  };
  const at::Tensor pooled =
      at::max_pool2d(conv(conv(batch(), "convolutions.0"), "convolutions.1"), 2, 2);
  const at::Tensor flat = conv(pooled, "convolutions.2").flatten(1);
  ASSERT_EQ(flat.size(1), 6 * 4 * 3);
  const at::Tensor hidden = at::linear(flat, p["dense.0.weight"], p["dense.0.bias"]);
  const at::Tensor expected = at::linear(at::where(hidden > 0, hidden, hidden * 0.01),
                                         p["dense.1.weight"], p["dense.1.bias"]);
  EXPECT_LE(max_error(model(batch()), expected), 1e-12);
}

// In float32 the images lie in memory with the channels last, in float64 with the channels first.
TEST(ConvNet, Float32AgreesWithFloat64) {
  for (const bool feedback : {false, true}) {
    SCOPED_TRACE(feedback ? "with feedback matrices" : "without");
    ConvNet exact(small().activation("tanh")), coarse(small().activation("tanh"));
    exact->to(at::kDouble);
    const auto run = [&](ConvNetImpl& model, at::ScalarType type) {
      for (int step = 0; step < 2; ++step) {
        std::uint64_t stream = 50;
        for (const LocatedLayer& located : decorrelated_layers(model)) {
          LayerHooks hooks;
          if (feedback)
            hooks.feedback = normal(located.layer->weights().sizes(), ++stream).to(type);
          located.layer->set_hooks(hooks);
        }
        model.zero_grad();
        model.forward(batch().to(type)).square().mean().backward();
        update(model);
      }
      return model.forward(batch().to(type)).detach();
    };
    const at::Tensor expected = run(*exact, at::kDouble), output = run(*coarse, at::kFloat);
    EXPECT_LE(max_error(output, expected), 1e-4 * expected.abs().max().item<double>());
    const auto gradients = exact->named_parameters();
    for (const auto& item : coarse->named_parameters()) {
      const at::Tensor& wanted = gradients[item.key()].grad();
      EXPECT_LE(max_error(item.value().grad(), wanted), 1e-4 * wanted.abs().max().item<double>())
          << item.key();
    }
  }
}

TEST(ConvNet, TakesImagesOfAnySizeThatLastsThroughThePooling) {
  for (const ImageShape& shape :
       {ImageShape{1, 28, 28}, ImageShape{3, 4, 7}, ImageShape{1, 4, 4}}) {
    ConvNet model(ConvNetOptions(shape, 3).conv_widths({4, 4, 4, 4}).dense_widths({}));
    EXPECT_EQ(model(at::rand({5, shape.channels, shape.height, shape.width})).sizes(),
              (at::IntArrayRef{5, 3}));
  }
}

TEST(ConvNet, GradientsAreThoseOfTheLoss) {
  ConvNet model(small().activation("tanh"));
  model->to(at::kDouble);
  train_on(*model, batch());
  expect_gradients_of_the_loss(*model, batch());
  expect_gradients_everywhere(*small_net(), batch());
}

TEST(ConvNet, UpdatesPreserveTheFunction) {
  expect_updates_preserve_the_function(*small_net(), batch());
  ConvNet without_biases(small().bias(false));
  without_biases->to(at::kDouble);
  EXPECT_EQ(without_biases->parameters().size(), 6U);
  expect_updates_preserve_the_function(*without_biases, batch());
}

TEST(ConvNet, Learns) { expect_learns(*small_net(), batch()); }

TEST(ConvNet, CloneIsIndependent) { expect_clone_is_independent(*small_net(), batch()); }

TEST(ConvNet, RestoredStateGoesOn) {
  expect_restored_state_goes_on(*small_net(), *small_net(), batch());
}

TEST(ConvNet, RebuildsWithAnotherPlan) { expect_rebuilds_with_another_plan(*small_net()); }

ConvNet normalized() {
  ConvNet model(small().batch_norm(true).activation("tanh"));
  model->to(at::kDouble);
  return model;
}

TEST(ConvNet, BatchNormStandsBetweenALayerAndItsActivation) {
  ConvNet model(ConvNetOptions({2, 9, 6}, 3)
                    .conv_widths({4, 5})
                    .dense_widths({8})
                    .batch_norm(true)
                    .activation("tanh")
                    .decorrelation(everywhere(method("none"))));
  model->to(at::kDouble);
  auto p = model->named_parameters();
  const auto normal = [&](const at::Tensor& y, const std::string& path) {
    std::vector<std::int64_t> all = {0};
    std::vector<std::int64_t> shape = {1, y.size(1)};
    for (std::int64_t i = 2; i < y.dim(); ++i) {
      all.push_back(i);
      shape.push_back(1);
    }
    const at::Tensor centred = y - y.mean(all, /*keepdim=*/true);
    const at::Tensor unit = centred / (centred.square().mean(all, /*keepdim=*/true) + 1e-5).sqrt();
    return at::tanh(unit * p[path + ".weight"].view(shape) + p[path + ".bias"].view(shape));
  };
  const auto conv = [&](const at::Tensor& x, const std::string& i) {
    return normal(
        at::conv2d(x, p["convolutions." + i + ".weight"], p["convolutions." + i + ".bias"], 1, 1),
        "convolution_norms." + i);
  };
  const at::Tensor flat = at::max_pool2d(conv(conv(batch(), "0"), "1"), 2, 2).flatten(1);
  const at::Tensor hidden =
      normal(at::linear(flat, p["dense.0.weight"], p["dense.0.bias"]), "dense_norms.0");
  const at::Tensor expected = at::linear(hidden, p["dense.1.weight"], p["dense.1.bias"]);
  EXPECT_LE(max_error(model(batch()), expected), 1e-12);
  EXPECT_THAT(message_of([&] { model(batch().narrow(0, 0, 1)); }),
              HasSubstr("[ConvNet] batch normalization needs two images in training mode"));
  model->eval();
  EXPECT_NO_THROW(model(batch().narrow(0, 0, 1)));
}

TEST(ConvNet, BatchNormGoesWithAllThatAModelDoes) {
  expect_gradients_of_the_loss(*normalized(), batch());
  expect_updates_preserve_the_function(*normalized(), batch());
  expect_learns(*normalized(), batch());
  expect_clone_is_independent(*normalized(), batch());
  expect_restored_state_goes_on(*normalized(), *normalized(), batch());
  expect_rebuilds_with_another_plan(*normalized());
}

TEST(ConvNet, RefusesBadArguments) {
  EXPECT_THAT(message_of([] {
                ConvNet(ConvNetOptions({1, 3, 28}, 10));
              }),
              HasSubstr("[ConvNet] images must be at least 4 x 4 for 4 convolutions, got 3 x 28"));
  EXPECT_THAT(message_of([] {
                ConvNet(ConvNetOptions({0, 28, 28}, 10));
              }),
              HasSubstr("[ConvNet] images must have at least 1 channel, row and column, got "
                        "[0, 28, 28]"));
  EXPECT_THAT(message_of([] { ConvNet(small().conv_widths({})); }),
              HasSubstr("[ConvNet] needs at least one convolution"));
  EXPECT_THAT(message_of([] { ConvNet(small().conv_widths({0})); }),
              HasSubstr("channels must be at least 1"));
  EXPECT_THAT(message_of([] { ConvNet(small().activation("swoosh")); }),
              HasSubstr("got \"swoosh\""));
  ConvNet model = small_net();
  EXPECT_THAT(message_of([&] {
                model(at::zeros({4, 2, 6, 9}, kFloat64));
              }),
              HasSubstr("[ConvNet] input must be [N, 2, 9, 6] with N > 0, got [4, 2, 6, 9]"));
  EXPECT_THAT(message_of([&] {
                model(at::zeros({0, 2, 9, 6}, kFloat64));
              }),
              HasSubstr("got [0, 2, 9, 6]"));
  EXPECT_THAT(message_of([&] { model(at::zeros({4, 108}, kFloat64)); }), HasSubstr("got [4, 108]"));
}

}  // namespace
}  // namespace decorr::nn
