#include "decorr/nn/resnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/model_checks.h"
#include <cmath>
#include <memory>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ResNet18Options small(bool batch_norm) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.max_samples = 32;
  return ResNet18Options(2, 3)
      .width(4)
      .batch_norm(batch_norm)
      .decorrelation(everywhere(options))
      .seed(3);
}

ResNet18 small_net(bool batch_norm) {
  ResNet18 model(small(batch_norm));
  model->to(at::kDouble);
  return model;
}

at::Tensor batch() { return images({6, 2, 9, 8}, 1); }

TEST(ResNet18, DecorrelatesEveryLayer) {
  ResNet18 model(ResNet18Options(3, 10).width(8));
  EXPECT_THAT(
      layer_paths(*model),
      ElementsAre("stem", "blocks.0.conv1", "blocks.0.conv2", "blocks.1.conv1", "blocks.1.conv2",
                  "blocks.2.conv1", "blocks.2.conv2", "blocks.2.shortcut", "blocks.3.conv1",
                  "blocks.3.conv2", "blocks.4.conv1", "blocks.4.conv2", "blocks.4.shortcut",
                  "blocks.5.conv1", "blocks.5.conv2", "blocks.6.conv1", "blocks.6.conv2",
                  "blocks.6.shortcut", "blocks.7.conv1", "blocks.7.conv2", "head"));
  auto parameters = model->named_parameters();
  EXPECT_EQ(parameters["stem.weight"].sizes(), (at::IntArrayRef{8, 3, 3, 3}));
  EXPECT_EQ(parameters["blocks.2.shortcut.weight"].sizes(), (at::IntArrayRef{16, 8, 1, 1}));
  EXPECT_EQ(parameters["blocks.7.conv2.weight"].sizes(), (at::IntArrayRef{64, 64, 3, 3}));
  EXPECT_EQ(parameters["head.weight"].sizes(), (at::IntArrayRef{10, 64}));
}

TEST(ResNet18, HasTheKnownNumberOfParameters) {
  const auto count = [](std::int64_t width, bool batch_norm) {
    std::int64_t total = 0;
    ResNet18 model(ResNet18Options(3, 10)
                       .width(width)
                       .batch_norm(batch_norm)
                       .decorrelation(everywhere(method("none"))));
    for (const at::Tensor& parameter : model->parameters()) total += parameter.numel();
    return total;
  };
  EXPECT_EQ(count(64, true), 11173962);
  // A scale and a shift for each of 75·width channels become a bias.
  EXPECT_EQ(count(8, true) - count(8, false), 75 * 8);
}

TEST(ResNet18, ComputesWhatItsDescriptionSays) {
  ResNet18 model(small(true).decorrelation(everywhere(method("none"))));
  model->to(at::kDouble);
  auto p = model->named_parameters();
  const auto conv = [&](const at::Tensor& x, const std::string& path, const std::string& norm,
                        std::int64_t stride) {
    const at::Tensor weight = p[path + ".weight"];
    const at::Tensor y = at::conv2d(x, weight, {}, stride, weight.size(2) / 2);
    const at::Tensor mean = y.mean({0, 2, 3}, true);
    const at::Tensor variance = (y - mean).square().mean({0, 2, 3}, true);
    return (y - mean) / (variance + 1e-5).sqrt() * p[norm + ".weight"].view({1, -1, 1, 1}) +
           p[norm + ".bias"].view({1, -1, 1, 1});
  };
  at::Tensor x = at::relu(conv(batch(), "stem", "stem_norm", 1));
  for (int i = 0; i < 8; ++i) {
    const std::string block = fmt::format("blocks.{}.", i);
    const bool widens = i == 2 || i == 4 || i == 6;
    const at::Tensor hidden = at::relu(conv(x, block + "conv1", block + "norm1", widens ? 2 : 1));
    const at::Tensor residual = conv(hidden, block + "conv2", block + "norm2", 1);
    x = at::relu(residual + (widens ? conv(x, block + "shortcut", block + "shortcut_norm", 2) : x));
  }
  EXPECT_EQ(x.sizes(), (at::IntArrayRef{6, 32, 2, 1}));
  const at::Tensor expected = at::linear(x.mean({2, 3}), p["head.weight"], p["head.bias"]);
  EXPECT_LE(max_error(model(batch()), expected), 1e-10);
}

TEST(ResNet18, TakesImagesOfAnySize) {
  ResNet18 model(small(true));
  model->eval();
  for (const std::int64_t side : {1, 7, 8, 28, 32})
    EXPECT_EQ(model(at::rand({2, 2, side, side + 1})).sizes(), (at::IntArrayRef{2, 3}));
}

TEST(ResNet18, WithoutBatchNormStartsAsItsShortcuts) {
  ResNet18 model(ResNet18Options(2, 3).width(16).batch_norm(false));
  for (const auto& item : model->named_parameters()) {
    const std::string& name = item.key();
    const at::Tensor value = item.value();
    const bool is_conv = name.rfind("head", 0) != 0;
    if (is_conv && name.find("bias") != std::string::npos) {
      EXPECT_EQ(value.abs().max().item<double>(), 0) << name;
    } else if (name.find("conv2.weight") != std::string::npos) {
      EXPECT_EQ(value.abs().max().item<double>(), 0) << name;
    } else if (is_conv) {
      const double n = static_cast<double>(value[0].numel());
      const double variance = 2 / n / (name.find("conv1") != std::string::npos ? 8 : 1);
      const double error = std::sqrt(2.0 / static_cast<double>(value.numel()));  // of the estimate
      EXPECT_NEAR(value.square().mean().item<double>() / variance, 1, 5 * error) << name;
    }
  }
}

TEST(ResNet18, GradientsReachAllParameters) {
  expect_gradients_everywhere(*small_net(true), batch());
  // The second convolution of each block starts at zero, and hides the first one for a step.
  expect_gradients_everywhere(*small_net(false), batch(), 1);
}

TEST(ResNet18, UpdatesPreserveTheFunction) {
  for (const bool batch_norm : {true, false}) {
    SCOPED_TRACE(batch_norm);
    expect_updates_preserve_the_function(*small_net(batch_norm), batch());
  }
}

TEST(ResNet18, Learns) {
  for (const bool batch_norm : {true, false}) {
    SCOPED_TRACE(batch_norm);
    expect_learns(*small_net(batch_norm), batch());
  }
}

TEST(ResNet18, CloneIsIndependent) {
  for (const bool batch_norm : {true, false})
    expect_clone_is_independent(*small_net(batch_norm), batch());
}

TEST(ResNet18, RestoredStateGoesOn) {
  for (const bool batch_norm : {true, false})
    expect_restored_state_goes_on(*small_net(batch_norm), *small_net(batch_norm), batch());
}

TEST(ResNet18, RebuildsWithAnotherPlan) { expect_rebuilds_with_another_plan(*small_net(true)); }

TEST(ResNet18, RefusesBadArguments) {
  EXPECT_THAT(message_of([] { ResNet18(ResNet18Options(3, 10).width(0)); }),
              HasSubstr("[ResNet18] width must be at least 1, got 0"));
  EXPECT_THAT(message_of([] { ResNet18(ResNet18Options(0, 10)); }),
              HasSubstr("channels must be at least 1"));
  ResNet18 model = small_net(true);
  EXPECT_THAT(message_of([&] {
                model(at::zeros({4, 3, 9, 8}, kFloat64));
              }),
              HasSubstr("[ResNet18] input must be [N, 2, H, W] and not empty, got [4, 3, 9, 8]"));
  EXPECT_THAT(message_of([&] {
                model(at::zeros({1, 2, 8, 8}, kFloat64));
              }),
              HasSubstr("[ResNet18] batch normalization needs"));
  EXPECT_NO_THROW(model(images({1, 2, 9, 8}, 1)));
  model->eval();
  EXPECT_NO_THROW(model(images({1, 2, 8, 8}, 1)));
}

}  // namespace
}  // namespace decorr::nn
