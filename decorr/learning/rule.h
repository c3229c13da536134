#pragma once

#include "decorr/learning/loss.h"
#include "decorr/learning/network.h"
#include "decorr/learning/rule_options.h"
#include "decorr/optim/optimizer.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
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
/// The training loop is the same for all rules: accumulate() one or more micro-batches, step(),
/// decorr::nn::update().
class Rule {
 public:
  Rule() = default;
  virtual ~Rule() = default;
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;

  /// Runs `input` [N, ..] through the network in its current mode, compares with the classes
  /// `target` [N], and adds `weight` times the gradient of the mean loss (or what the rule puts in
  /// its place) to the `grad()` of every parameter. Throws `std::invalid_argument` for an input
  /// that the network does not take, outputs that the loss does not, or what the rule says it
  /// refuses.
  virtual BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                                 double weight = 1) = 0;

  /// One step of `optimizer` at rate `lr` from what was accumulated, and of whatever the rule
  /// changes along with the weights. Throws as Optimizer::step() does.
  virtual void step(optim::Optimizer& optimizer, double lr) { optimizer.step(lr); }

  /// The matrix B, in the shape and basis of the weights of the layer at `path`, through which the
  /// rule sends that layer's error back; undefined if there is none.
  virtual at::Tensor feedback(const std::string& /*path*/) const { return {}; }

  /// Copies of what the rule keeps beside the network: feedback matrices, counters of random draws.
  std::map<std::string, at::Tensor> state_dict() const;

  /// Takes over what state_dict() returned. Throws `std::invalid_argument` naming the key, and
  /// changes nothing, if an entry is missing, unknown, or of another shape or type.
  void load_state_dict(const std::map<std::string, at::Tensor>& state);

 protected:
  /// The tensors themselves by name.
  virtual std::map<std::string, at::Tensor> state() const { return {}; }
};

/// Builds a rule that trains `network` on `loss`; `example` is a batch of its input, or undefined.
using RuleFactory = std::function<std::unique_ptr<Rule>(
    Network network, const Loss& loss, const RuleOptions& options, const at::Tensor& example)>;

/// Names that make_rule() accepts: `backprop`, `feedback-alignment`, `direct-feedback-alignment`,
/// `sign-symmetry`, `kolen-pollack`, `node-perturbation`, `weight-perturbation`, and those that
/// register_rule() was given.
std::vector<std::string> rules();

/// Makes `name` a name that make_rule() and every configuration accepts. Call it before the first
/// rule of that name is built; not meant to be called from several threads. Throws
/// `std::invalid_argument` if the name is taken or empty.
void register_rule(const std::string& name, RuleFactory factory);

/// The rule called `name` on `network`, which it keeps. Build it when the network has its type and
/// device. `example`, a batch of the network's input whose values do not matter, is needed by the
/// rules with feedback matrices. Throws `std::invalid_argument` for a name that is not in rules(),
/// options that do not validate, or a network that the rule cannot serve.
std::unique_ptr<Rule> make_rule(const std::string& name, Network network, const Loss& loss,
                                const RuleOptions& options = {}, const at::Tensor& example = {});

}  // namespace decorr::learning
