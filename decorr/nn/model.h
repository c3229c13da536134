#pragma once

#include "decorr/whitening/options.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>

namespace decorr::nn {

/// The decorrelation of each layer, by the layer's path in the model (`layers.0`).
using DecorrelationPlan = std::function<whitening::DecorrelatorOptions(const std::string& path)>;

/// The plan that gives every layer the same options.
DecorrelationPlan everywhere(whitening::DecorrelatorOptions options);
/// The plan that gives every layer the options of the preset `default`.
DecorrelationPlan everywhere();

/// A network from a batch of inputs to one row of outputs (logits) a sample.
class Model : public virtual torch::nn::Module {
 public:
  /// Maps `input` [N, ..] to [N, outputs].
  virtual at::Tensor forward(const at::Tensor& input) = 0;

  /// The same architecture, newly built with `plan` for its decorrelation: untrained weights drawn
  /// from the same seed, float32 on the CPU, in training mode. This model stays as it is.
  virtual std::shared_ptr<Model> with_decorrelation(const DecorrelationPlan& plan) const = 0;
};

}  // namespace decorr::nn
