#pragma once

#include "decorr/learning/network.h"
#include "decorr/nn/decorrelated_layer.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// The layers of a network as learning rules see them.
namespace decorr::learning {

/// A decorrelated layer in the order of the forward pass.
struct TracedLayer {
  std::string path;
  nn::DecorrelatedLayer* layer;
  bool reads_data;                        ///< nothing that learns lies before it
  std::vector<std::int64_t> input_sizes;  ///< of one sample, at its first call
};

/// Runs `example` (some samples of the network's input; their values do not matter) through
/// `network` in evaluation mode and returns the decorrelated layers in the order in which they are
/// called first. Changes nothing. `rule` is what errors call the rule. Throws
/// `std::invalid_argument` for an undefined example or a network without decorrelated layers that
/// learn.
std::vector<TracedLayer> trace_layers(const Network& network, const at::Tensor& example,
                                      const std::string& rule);

/// Throws `std::invalid_argument`, naming it, if the error of `network` would travel back through
/// the weights of a layer that is not of decorr::nn, so that a rule that replaces them cannot.
void check_error_path(const Network& network, const std::string& rule);

/// Throws `std::invalid_argument` unless noise on the outputs of decorrelated layers can train all
/// of `network`: each parameter that learns is one of such a layer's, and no batch normalization
/// makes the samples of a batch depend on one another.
void check_perturbable(const Network& network, const std::string& rule);

/// Throws `std::invalid_argument` if products are rounded to bfloat16 (linalg::bfloat16_products(),
/// or the precision of a layer's decorrelation), in which small perturbations would be lost.
void check_precise(const Network& network, const std::string& rule);

/// Throws `std::invalid_argument` if `input` of a layer that read the data when `rule` was built
/// now comes from what learns, so that the rule has no way for its error.
void check_reads_data(const TracedLayer& traced, const at::Tensor& input, const std::string& rule);

/// Replaces hooks of layers; at the end of the scope they have those they had.
class HookScope {
 public:
  HookScope() = default;
  ~HookScope();
  HookScope(const HookScope&) = delete;
  HookScope& operator=(const HookScope&) = delete;

  void set(nn::DecorrelatedLayer& layer, nn::LayerHooks hooks);

 private:
  std::vector<std::pair<nn::DecorrelatedLayer*, nn::LayerHooks>> before_;
};

}  // namespace decorr::learning
