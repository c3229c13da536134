#pragma once

#include "decorr/nn/activation.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace decorr::nn {

/// Options of Mlp.
struct MlpOptions {
  MlpOptions(std::int64_t inputs, std::vector<std::int64_t> hidden, std::int64_t outputs)
      : inputs_(inputs), hidden_(std::move(hidden)), outputs_(outputs) {}

  /// Number of input features (an image's channels × height × width).
  TORCH_ARG(std::int64_t, inputs);
  /// Widths of the hidden layers; empty for a linear model.
  TORCH_ARG(std::vector<std::int64_t>, hidden);
  /// Number of outputs (classes).
  TORCH_ARG(std::int64_t, outputs);
  /// Activation after each hidden layer; one of activations().
  TORCH_ARG(std::string, activation) = "leaky-relu";
  /// Whether the layers have biases.
  TORCH_ARG(bool, bias) = true;
  /// Batch normalization between each hidden layer and its activation, as modules `norms.0`, …
  TORCH_ARG(bool, batch_norm) = false;
  /// Leave out the activation after the last hidden layer, as the authors' code of CRGD does.
  TORCH_ARG(bool, published_activations) = false;
  /// Decorrelation of each layer, asked with the paths `layers.0`, `layers.1`, …
  TORCH_ARG(DecorrelationPlan, decorrelation) = everywhere();
  /// Seed of the initial weights and of whatever the layers draw.
  TORCH_ARG(std::uint64_t, seed) = 0;
};

/// Multilayer perceptron of decorrelated linear layers.
class MlpImpl : public torch::nn::Cloneable<MlpImpl>, public Model {
 public:
  /// Throws `std::invalid_argument` for widths below 1 or an unknown activation.
  explicit MlpImpl(MlpOptions options);

  void reset() override;

  /// Maps `input` [N, ..] with `inputs` numbers a sample to [N, outputs]. Batch normalization needs
  /// N > 1 in training mode.
  at::Tensor forward(const at::Tensor& input) override;

  std::shared_ptr<Model> with_decorrelation(const DecorrelationPlan& plan) const override;

  MlpOptions options;

 private:
  Activation activation_;
  // The registered list itself, not copies of its holders: clone() replaces the list's modules.
  torch::nn::ModuleList layers_;
  torch::nn::ModuleList norms_{nullptr};  // without batch normalization there is none
};

TORCH_MODULE(Mlp);

}  // namespace decorr::nn
