#include "decorr/nn/update.h"

#include "decorr/linalg/norm.h"
#include "decorr/nn/mlp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "tests/nn/support.h"
#include <cmath>
#include <limits>
#include <vector>

namespace decorr::nn {
namespace {

using testing::HasSubstr;
using Outcome = whitening::UpdateReport::Outcome;

LinearImpl& as_linear(const LocatedLayer& located) {
  return dynamic_cast<LinearImpl&>(*located.layer);
}

Mlp make_model(const whitening::DecorrelatorOptions& decorrelation, bool bias = true) {
  return Mlp(MlpOptions(12, {16, 10}, 5)
                 .activation("tanh")
                 .bias(bias)
                 .decorrelation(everywhere(decorrelation))
                 .seed(3));
}

at::Tensor output_in_evaluation_mode(LinearImpl& layer, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  layer.eval();
  const at::Tensor output = layer.forward(x);
  layer.train();
  return output;
}

// What rounding may change in float64: 10⁻¹⁰·(‖W‖‖R‖‖x - μ‖ + ‖b‖).
double rounding_bound(LinearImpl& layer, const at::Tensor& x) {
  whitening::Decorrelator& decorrelator = layer.decorrelator();
  const at::Tensor& bias = layer.bias.defined() ? layer.bias : layer.bias_offset;
  return 1e-10 * (linalg::spectral_norm(layer.weight) * decorrelator->matrix_norm() *
                      (x - decorrelator->running_mean()).norm(2, 1).max().item<double>() +
                  bias.norm().item<double>());
}

TEST(Update, PreservesEveryLayersFunctionInFloat64) {
  for (const char* method : {"norm-preserving", "copi", "standardize"})
    for (const char* mean : {"running", "batch"})
      for (const bool bias : {true, false}) {
        SCOPED_TRACE(fmt::format("{}, mean = {}, bias = {}", method, mean, bias));
        whitening::DecorrelatorOptions options;
        options.update_every = 1;
        options.method = method;
        options.mean = mean;
        options.lr = 0.05;  // large steps: preservation is exact, not to first order
        Mlp model = make_model(options, bias);
        model->to(at::kDouble);
        const std::vector<LocatedLayer> layers = decorrelated_layers(*model);
        ASSERT_EQ(layers.size(), 3U);
        for (std::uint64_t step = 0; step < 10; ++step) {
          const at::Tensor drift = correlated({64, 12}, step) + 0.2 * static_cast<double>(step);
          model(drift).square().mean().backward();
          descend(*model, 0.01);
          std::vector<at::Tensor> probes, before, matrices;
          for (const LocatedLayer& located : layers) {
            LinearImpl& layer = as_linear(located);
            probes.push_back(normal({20, layer.options.in_features()}, 500) * 3 + 1);
            before.push_back(output_in_evaluation_mode(layer, probes.back()));
            matrices.push_back(layer.decorrelator()->matrix().clone());
          }
          for (const LayerUpdate& item : update(*model))
            ASSERT_EQ(item.report.outcome, Outcome::kApplied) << item.path;
          for (std::size_t i = 0; i < layers.size(); ++i) {
            LinearImpl& layer = as_linear(layers[i]);
            ASSERT_GT(max_error(layer.decorrelator()->matrix(), matrices[i]), 1e-6);
            ASSERT_LE(max_error(output_in_evaluation_mode(layer, probes[i]), before[i]),
                      rounding_bound(layer, probes[i]))
                << layers[i].path << ", step " << step;
          }
        }
      }
}

TEST(Update, PreservesTheModelsFunctionOverAHundredUpdatesInFloat32) {
  for (const char* method : {"norm-preserving", "copi", "standardize"})
    for (const bool bias : {true, false}) {
      whitening::DecorrelatorOptions options;
      options.update_every = 1;
      options.method = method;
      options.lr = 0.01;
      Mlp model = make_model(options, bias);
      const at::Tensor probe = correlated({50, 12}, 500).to(at::kFloat);
      const auto outputs = [&] {
        const at::NoGradGuard no_grad;
        model->eval();
        const at::Tensor result = model(probe);
        model->train();
        return result;
      };
      const at::Tensor before = outputs();
      for (std::uint64_t step = 0; step < 100; ++step) {
        model(correlated({64, 12}, step).to(at::kFloat));
        for (const LayerUpdate& item : update(*model))
          ASSERT_EQ(item.report.outcome, Outcome::kApplied) << item.path << item.report.reason;
      }
      EXPECT_LE(max_error(outputs(), before), 1e-4 * before.abs().max().item<double>())
          << method << ", bias = " << bias;
      for (const LocatedLayer& located : decorrelated_layers(*model)) {
        const at::Tensor& matrix = located.layer->decorrelator()->matrix();
        const at::Tensor start =
            matrix.dim() == 1 ? at::ones_like(matrix) : at::eye(matrix.size(0), matrix.options());
        EXPECT_GT(max_error(matrix, start), 0.02) << method << " " << located.path;
      }
    }
}

TEST(Update, ReportsEveryLayerByItsPath) {
  const auto plan = [](const std::string& path) {
    whitening::DecorrelatorOptions options;
    options.update_every = 1;
    if (path == "layers.1") options.method = "none";
    return options;
  };
  Mlp model(MlpOptions(12, {16, 10}, 5).decorrelation(plan));
  model(correlated({64, 12}, 1).to(at::kFloat));
  const std::vector<LayerUpdate> updates = decorr::update(*model);
  ASSERT_EQ(updates.size(), 3U);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    EXPECT_EQ(updates[i].path, fmt::format("layers.{}", i));
    EXPECT_EQ(updates[i].report.outcome, i == 1 ? Outcome::kNotDue : Outcome::kApplied);
  }
}

TEST(Update, FindsLayersInAnyModuleAndASingleLayer) {
  Linear single(12, 5);
  single(correlated({64, 12}, 1).to(at::kFloat));
  const std::vector<LayerUpdate> updates = update(*single);
  ASSERT_EQ(updates.size(), 1U);
  EXPECT_EQ(updates[0].report.outcome, Outcome::kApplied);

  struct Block : torch::nn::Module {
    Block() {
      register_module("plain", torch::nn::Linear(3, 3));
      register_module("inner", Linear(3, 3));
    }
  };
  const auto block = std::make_shared<Block>();
  const std::vector<LocatedLayer> layers = decorrelated_layers(*block);
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].path, "inner");
}

// Everything but the counters, which are there to change.
std::vector<std::pair<std::string, at::Tensor>> learnt_state(const torch::nn::Module& module) {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (auto& entry : state_of(module))
    if (entry.first.find("counters") == std::string::npos) state.push_back(std::move(entry));
  return state;
}

void expect_skipped_everywhere(const at::Tensor& batch, const std::string& reason) {
  for (const char* method : {"norm-preserving", "copi", "standardize"}) {
    SCOPED_TRACE(fmt::format("{}: {}", method, reason));
    whitening::DecorrelatorOptions options;
    options.update_every = 1;
    options.method = method;
    Mlp model = make_model(options);
    model(correlated({64, 12}, 1).to(at::kFloat));
    update(*model);
    const auto before = learnt_state(*model);
    model(batch);
    for (const LayerUpdate& item : update(*model)) {
      EXPECT_EQ(item.report.outcome, Outcome::kSkipped) << item.path;
      EXPECT_EQ(item.report.reason, reason) << item.path;
    }
    const auto after = learnt_state(*model);
    ASSERT_EQ(after.size(), 3U * 4);
    for (std::size_t i = 0; i < before.size(); ++i)
      EXPECT_TRUE(at::equal(after[i].second, before[i].second)) << before[i].first;
    for (const LocatedLayer& located : decorrelated_layers(*model)) {
      EXPECT_EQ(located.layer->decorrelator()->skipped(), 1);
      EXPECT_EQ(located.layer->decorrelator()->applied(), 1);
    }
    // The next good batch is taken.
    model(correlated({64, 12}, 2).to(at::kFloat));
    for (const LayerUpdate& item : update(*model))
      EXPECT_EQ(item.report.outcome, Outcome::kApplied) << item.path;
  }
}

TEST(Update, SkipsABatchOfOneInAllLayers) {
  expect_skipped_everywhere(correlated({1, 12}, 5).to(at::kFloat), "fewer than two rows");
}

TEST(Update, NonFiniteInputChangesNothing) {
  at::Tensor batch = correlated({64, 12}, 5).to(at::kFloat);
  batch[63][11] = std::numeric_limits<float>::quiet_NaN();
  expect_skipped_everywhere(batch, "input not finite");
}

TEST(Update, RefusesAModelWithoutLayers) {
  torch::nn::Linear plain(3, 3);
  EXPECT_THAT(message_of([&] { update(*plain); }),
              HasSubstr("[update] the model has no decorrelated layer: build it from decorr::nn "
                        "layers"));
}

TEST(Update, RefusesFrozenWeightsBeforeAnythingChanges) {
  Mlp model = make_model({});
  LinearImpl& last = as_linear(decorrelated_layers(*model).back());
  last.weight.set_requires_grad(false);
  model(correlated({64, 12}, 1).to(at::kFloat));
  const auto before = state_of(*model);
  EXPECT_THAT(message_of([&] { update(*model); }),
              HasSubstr("[update] the weights of \"layers.2\" are frozen"));
  const auto after = state_of(*model);
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(after[i].second, before[i].second)) << before[i].first;
}

TEST(Update, FrozenWeightsAreFineWithoutFunctionPreservation) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.function_preserving = false;
  Mlp model = make_model(options);
  for (at::Tensor& parameter : model->parameters()) parameter.set_requires_grad(false);
  const at::Tensor weight = model->parameters().front().clone();
  model(correlated({64, 12}, 1).to(at::kFloat));
  for (const LayerUpdate& item : update(*model))
    EXPECT_EQ(item.report.outcome, Outcome::kApplied) << item.path;
  EXPECT_TRUE(at::equal(model->parameters().front(), weight));
}

// Two layers registered with one weight tensor.
class Tied : public torch::nn::Module {
 public:
  explicit Tied(const whitening::DecorrelatorOptions& options)
      : first(register_module("first", Linear(LinearOptions(4, 4).decorrelation(options)))),
        second(register_module("second", Linear(LinearOptions(4, 4).decorrelation(options)))) {
    second->weight.set_data(first->weight);
  }
  Linear first, second;
};

TEST(Update, RefusesSharedWeightsBeforeAnythingChanges) {
  const auto model = std::make_shared<Tied>(whitening::DecorrelatorOptions());
  model->second(model->first(correlated({32, 4}, 1).to(at::kFloat)));
  const auto before = state_of(*model);
  EXPECT_THAT(message_of([&] { update(*model); }),
              HasSubstr("[update] \"first\" and \"second\" share their weights but not R"));
  const auto after = state_of(*model);
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(after[i].second, before[i].second)) << before[i].first;

  whitening::DecorrelatorOptions none;
  none.method = "none";
  const auto plain = std::make_shared<Tied>(none);
  EXPECT_NO_THROW(update(*plain));
}

TEST(Update, ALayerRegisteredTwiceIsUpdatedOnce) {
  struct Twice : torch::nn::Module {
    Twice() : layer(register_module("first", Linear(4, 4))) { register_module("again", layer); }
    Linear layer;
  };
  const auto model = std::make_shared<Twice>();
  model->layer(correlated({32, 4}, 1).to(at::kFloat));
  const std::vector<LayerUpdate> updates = update(*model);
  ASSERT_EQ(updates.size(), 1U);
  EXPECT_EQ(updates[0].path, "first");
  EXPECT_EQ(updates[0].report.outcome, Outcome::kApplied);
  EXPECT_EQ(model->layer->decorrelator()->steps(), 1);
}

}  // namespace
}  // namespace decorr::nn
