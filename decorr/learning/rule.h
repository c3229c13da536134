#pragma once

#include "decorr/learning/loss.h"
#include "decorr/nn/model.h"

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace decorr::learning {

/// What a rule saw of one batch.
struct BatchResult {
  at::Tensor loss;    ///< mean loss, scalar, detached
  at::Tensor logits;  ///< [N, K], detached
};

/// A learning rule: how the error of a batch becomes gradients of the parameters.
///
/// The training loop is the same for all rules: accumulate() one or more micro-batches, optimizer
/// step, decorr::nn::update().
class Rule {
 public:
  virtual ~Rule() = default;

  /// Runs `input` [N, ..] through the model in its current mode, compares with the classes `target`
  /// [N], and adds `weight` times the gradient of the mean loss (or what the rule puts in its
  /// place) to the `grad()` of every parameter.
  virtual BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                                 double weight = 1) = 0;
};

/// Names that make_rule() accepts: `backprop`.
std::vector<std::string> rules();

/// The rule called `name` on `model`, which it keeps. Throws `std::invalid_argument` for a name
/// that is not in rules().
std::unique_ptr<Rule> make_rule(const std::string& name, std::shared_ptr<nn::Model> model,
                                Loss loss);

}  // namespace decorr::learning
