#pragma once

#include "decorr/core/random.h"
#include "decorr/learning/layers.h"
#include "decorr/learning/rule.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace decorr::learning {

/// Node perturbation: the loss is compared with that of a second pass with noise ξ of variance σ²
/// on the pre-activations, and each layer learns from its own noise and its own clean input,
///
///     ∇W = mean over the batch of (L̃ - L)/σ² · ξuᵀ,  ∇b likewise with 1 in place of u,
///
/// which is the gradient up to terms of order σ² (Williams, Machine Learning 1992; Fiete, Seung,
/// PRL 2006). Nothing is differentiated. `variant`:
///  - simultaneous: noise on all layers in one pass (CRGD).
///  - iterative: a pass for each layer, with noise on that layer alone.
///  - activity-based (Dalm, van Gerven, Ahmad, arXiv 2310.00965): noise on all layers, and in place
///    of ξ the change δa = ã - a that it makes in all P pre-activations of a sample,
///    ∇W = mean of P·(L̃ - L)/‖δa‖² · δa·uᵀ, the norm over all layers: a directional derivative
///    along the way that the network went, not an unbiased gradient.
/// With `antithetic`, L̃ - L is (L(+ξ) - L(-ξ))/2, and δa is half the difference of the two passes.
///
/// Only the clean pass feeds the statistics of the Decorrelators; dropout is the same in all
/// passes. With `mean` batch the samples of a batch depend on one another: each learns from what
/// its own noise does to its own loss, and what it does to the losses of the others (in
/// backpropagation, the mean of the error that the centring takes away) is left out.
class NodePerturbation : public Rule {
 public:
  /// Reads `variant`, `sigma`, `antithetic` and `seed` of the options. Throws as make_rule() does;
  /// it cannot serve batch normalization, or parameters outside of decorrelated layers.
  NodePerturbation(Network network, Loss loss, const RuleOptions& options);

  /// Throws `std::invalid_argument` too if a layer's input is not [N, ..] or is changed in place
  /// after the layer has read it, and while products are rounded to bfloat16.
  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

 protected:
  std::map<std::string, at::Tensor> state() const override { return {{"batches", batches_}}; }

 private:
  // One call of a layer in a pass.
  struct Call {
    std::size_t layer;
    at::Tensor input;                 // of the clean pass, what the layer read
    std::int64_t version = 0;         // of `input`, when it was read
    std::vector<std::int64_t> sizes;  // of the output
    at::Tensor output;                // what it gave, if the variant learns from that
  };
  struct Pass {
    at::Tensor logits;
    std::vector<Call> calls;
  };

  Pass run(const at::Tensor& input, const std::vector<at::Tensor>& noise, bool clean);
  void learn(const Pass& clean, const Pass& above, const Pass* below, const at::Tensor& target,
             double weight, const std::vector<at::Tensor>& noise);

  Network network_;
  Loss loss_;
  RuleOptions options_;
  RandomStream random_;
  std::vector<nn::DecorrelatedLayer*> layers_;
  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<nn::KeptRead>> kept_;  // of this batch's clean pass, by layer
  at::Tensor batches_;                               // int64, 0-d: batches so far
};

}  // namespace decorr::learning
