#include "decorr/nn/recurrent.h"
#include "decorr/nn/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/rnn.h>

#include "tests/nn/model_checks.h"
#include <cmath>
#include <memory>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TransformerOptions small_transformer() {
  return TransformerOptions({2, 5, 3}, 3)
      .width(8)
      .depth(2)
      .heads(2)
      .decorrelation(every_step())
      .seed(3);
}

RecurrentOptions small_recurrent() {
  return RecurrentOptions({2, 5, 3}, 3).width(7).decorrelation(every_step()).seed(3);
}

at::Tensor batch() { return images({8, 2, 5, 3}, 1); }

// Both models, in float64.
std::vector<std::shared_ptr<Model>> small_models() {
  std::vector<std::shared_ptr<Model>> models = {
      std::make_shared<TransformerImpl>(small_transformer()),
      std::make_shared<RecurrentImpl>(small_recurrent())};
  for (const auto& model : models) model->to(at::kDouble);
  return models;
}

TEST(ImageRows, PutsTheChannelsOfARowSideBySide) {
  const at::Tensor rows = image_rows(at::arange(2 * 3 * 4).view({1, 2, 3, 4}));
  EXPECT_EQ(rows.sizes(), (at::IntArrayRef{1, 3, 8}));
  EXPECT_TRUE(at::equal(rows[0][1], at::tensor({4, 5, 6, 7, 16, 17, 18, 19}, at::kLong)));
}

TEST(Transformer, NamesItsLayers) {
  EXPECT_THAT(layer_paths(*Transformer(small_transformer())),
              ElementsAre("embedding", "blocks.0.qkv", "blocks.0.out", "blocks.0.expand",
                          "blocks.0.contract", "blocks.1.qkv", "blocks.1.out", "blocks.1.expand",
                          "blocks.1.contract", "head"));
  EXPECT_THAT(layer_paths(*Transformer(small_transformer().depth(0))),
              ElementsAre("embedding", "head"));
}

TEST(Transformer, ComputesWhatItsDescriptionSays) {
  Transformer model(small_transformer().decorrelation(everywhere(method("none"))));
  model->to(at::kDouble);
  auto p = model->named_parameters();
  const auto linear = [&](const at::Tensor& x, const std::string& path) {
    return at::matmul(x, p[path + ".weight"].t()) + p[path + ".bias"];
  };
  const auto norm = [&](const at::Tensor& x, const std::string& path) {
    const at::Tensor centred = x - x.mean(-1, true);
    return centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * p[path + ".weight"] +
           p[path + ".bias"];
  };
  const at::Tensor input = batch();
  for (std::int64_t sample = 0; sample < input.size(0); ++sample) {
    at::Tensor x = at::cat({input[sample][0], input[sample][1]}, 1);
    x = linear(x, "embedding") + p["positions"];
    for (const std::string block : {"blocks.0.", "blocks.1."}) {
      const at::Tensor qkv = linear(norm(x, block + "norm1"), block + "qkv");
      std::vector<at::Tensor> heads;
      for (std::int64_t head = 0; head < 2; ++head) {
        const at::Tensor q = qkv.narrow(1, 4 * head, 4);
        const at::Tensor k = qkv.narrow(1, 8 + 4 * head, 4);
        const at::Tensor v = qkv.narrow(1, 16 + 4 * head, 4);
        const at::Tensor weights = (at::matmul(q, k.t()) / 2).exp();
        heads.push_back(at::matmul(weights / weights.sum(1, true), v));
      }
      x = x + linear(at::cat(heads, 1), block + "out");
      const at::Tensor hidden = linear(norm(x, block + "norm2"), block + "expand");
      x = x + linear(hidden * 0.5 * (1 + at::erf(hidden / std::sqrt(2.0))), block + "contract");
    }
    const at::Tensor expected = linear(norm(x, "norm").mean(0), "head");
    EXPECT_LE(max_error(model(input)[sample], expected), 1e-12);
  }
}

TEST(Recurrent, NamesItsLayers) {
  EXPECT_THAT(layer_paths(*Recurrent(small_recurrent())), ElementsAre("input", "hidden", "head"));
}

TEST(Recurrent, IsLibTorchsGru) {
  Recurrent model(small_recurrent().decorrelation(everywhere(method("none"))));
  model->to(at::kDouble);
  torch::nn::GRU gru(torch::nn::GRUOptions(6, 7).batch_first(true));
  gru->to(at::kDouble);
  auto p = model->named_parameters();
  {
    const at::NoGradGuard no_grad;
    auto theirs = gru->named_parameters();
    theirs["weight_ih_l0"].copy_(p["input.weight"]);
    theirs["bias_ih_l0"].copy_(p["input.bias"]);
    theirs["weight_hh_l0"].copy_(p["hidden.weight"]);
    theirs["bias_hh_l0"].copy_(p["hidden.bias"]);
  }
  const at::Tensor last = std::get<0>(gru(image_rows(batch()))).select(1, 4);
  EXPECT_LE(max_error(model(batch()), at::linear(last, p["head.weight"], p["head.bias"])), 1e-12);
}

TEST(Recurrent, AllTimeStepsMakeOneSample) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.sample_fraction = 1;
  options.mean_momentum = 1;
  Recurrent model(small_recurrent().decorrelation(everywhere(options)));
  model->to(at::kDouble);
  loss_on(*model, batch()).backward();
  const std::vector<LayerUpdate> updates = update(*model);
  ASSERT_EQ(updates[1].path, "hidden");
  EXPECT_EQ(updates[1].report.outcome, whitening::UpdateReport::Outcome::kApplied);

  // The mean over time and samples of what `hidden` has read: h from 0 to the one before the last.
  Recurrent plain(small_recurrent().decorrelation(everywhere(method("none"))));
  plain->to(at::kDouble);
  auto p = plain->named_parameters();
  at::Tensor h = at::zeros({8, 7}, kFloat64), sum = at::zeros({7}, kFloat64);
  for (std::int64_t t = 0; t < 5; ++t) {
    sum = sum + h.sum(0);
    h = at::gru_cell(image_rows(batch()).select(1, t), h, p["input.weight"], p["hidden.weight"],
                     p["input.bias"], p["hidden.bias"]);
  }
  const LocatedLayer hidden = decorrelated_layers(*model)[1];
  EXPECT_LE(max_error(hidden.layer->decorrelator()->running_mean(), sum / 40), 1e-12);
  EXPECT_EQ(hidden.layer->decorrelator()->steps(), 1);
}

TEST(SequenceModels, GradientsAreThoseOfTheLoss) {
  for (const auto& model : small_models()) {
    train_on(*model, batch());
    expect_gradients_of_the_loss(*model, batch());
    expect_gradients_everywhere(*model, batch());
  }
}

TEST(SequenceModels, UpdatesPreserveTheFunction) {
  for (const auto& model : small_models()) expect_updates_preserve_the_function(*model, batch());
}

TEST(SequenceModels, Learn) {
  for (const auto& model : small_models()) expect_learns(*model, batch());
}

TEST(SequenceModels, ClonesAreIndependent) {
  for (const auto& model : small_models()) expect_clone_is_independent(*model, batch());
}

TEST(SequenceModels, RestoredStateGoesOn) {
  const auto models = small_models();
  const auto fresh = small_models();
  for (std::size_t i = 0; i < models.size(); ++i)
    expect_restored_state_goes_on(*models[i], *fresh[i], batch());
}

TEST(SequenceModels, RebuildWithAnotherPlan) {
  for (const auto& model : small_models()) expect_rebuilds_with_another_plan(*model);
}

TEST(SequenceModels, RefuseBadArguments) {
  EXPECT_THAT(message_of([] { Transformer(small_transformer().heads(3)); }),
              HasSubstr("[Transformer] heads must divide the width, got 3 heads and width 8"));
  EXPECT_THAT(message_of([] { Transformer(small_transformer().heads(0)); }),
              HasSubstr("got 0 heads"));
  EXPECT_THAT(message_of([] { Transformer(small_transformer().width(0)); }),
              HasSubstr("[Transformer] width must be at least 1, got 0"));
  EXPECT_THAT(message_of([] { Transformer(small_transformer().depth(-1)); }),
              HasSubstr("[Transformer] depth must be at least 0, got -1"));
  EXPECT_THAT(message_of([] {
                Transformer(small_transformer().image({1, 0, 3}));
              }),
              HasSubstr("got [1, 0, 3]"));
  EXPECT_THAT(message_of([] { Recurrent(small_recurrent().width(0)); }),
              HasSubstr("[Recurrent] width must be at least 1, got 0"));
  Transformer transformer(small_transformer());
  EXPECT_THAT(message_of([&] {
                transformer(at::zeros({4, 2, 3, 5}));
              }),
              HasSubstr("[Transformer] input must be [N, 2, 5, 3] with N > 0, got [4, 2, 3, 5]"));
  Recurrent recurrent(small_recurrent());
  EXPECT_THAT(message_of([&] {
                recurrent(at::zeros({0, 2, 5, 3}));
              }),
              HasSubstr("[Recurrent] input must be [N, 2, 5, 3] with N > 0, got [0, 2, 5, 3]"));
}

}  // namespace
}  // namespace decorr::nn
