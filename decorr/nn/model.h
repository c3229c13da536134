#pragma once

#include "decorr/whitening/options.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <string>

namespace decorr::nn {

/// A network from a batch of inputs to one row of outputs (logits) a sample.
class Model : public virtual torch::nn::Module {
 public:
  /// Maps `input` [N, ..] to [N, outputs].
  virtual at::Tensor forward(const at::Tensor& input) = 0;
};

/// The decorrelation of each layer, by the layer's path in the model (`layers.0`).
using DecorrelationPlan = std::function<whitening::DecorrelatorOptions(const std::string& path)>;

/// The plan that gives every layer the same options.
inline DecorrelationPlan everywhere(whitening::DecorrelatorOptions options) {
  return [options = std::move(options)](const std::string&) { return options; };
}

}  // namespace decorr::nn
