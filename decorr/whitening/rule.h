#pragma once

#include "decorr/whitening/options.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace decorr::whitening {

/// What one update sees of one block of a layer's features (of all of them with `structure` full):
/// s sampled rows of n features.
struct Observation {
  at::Tensor x;           ///< [s, n] sampled rows less the mean
  at::Tensor u;           ///< [s, n] R(x + damping noise); undefined unless Rule::reads_output()
  at::Tensor matrix;      ///< R before the update: [n, n], or [n] for a diagonal rule
  at::Tensor state;       ///< what the rule keeps beside R, [n, n]; undefined if nothing
  double noise_variance;  ///< variance of the damping noise, λ times the layer's mean variance
  double scale;           ///< C = UᵀU / (s·scale): the mean of U² if scale-free, else 1
  double gain;            ///< scalar g that keeps the size of the activity; 1 for none
  double momentum;        ///< weight of this sample in running statistics, in (0, 1]
  std::int64_t update;    ///< number of updates applied before this one
};

/// A rule that learns the decorrelation matrix R of one layer from its sampled activity.
///
/// Rules are stateless objects; what they learn is in R and, for dense rules, in a state beside it.
/// A rule derives from LowRankRule or from DenseRule.
class Rule {
 public:
  virtual ~Rule() = default;

  /// Whether R is diagonal and kept as a vector. Such a rule sets its own scale: no gain is
  /// applied.
  virtual bool diagonal() const { return false; }

  /// Whether the rule reads the noise-damped output u.
  virtual bool reads_output() const { return true; }
};

/// One step of a low-rank rule, R ← g·(diag(d) - a·UᵀU)·R; the scalar gain g is not the rule's
/// business.
struct LowRankStep {
  at::Tensor diagonal;  ///< d, [n], positive; undefined means all ones
  double a = 0;         ///< coefficient of UᵀU, >= 0
};

/// A rule whose step is a diagonal and a sample away from the identity.
///
/// The rule answers with a step in factored form, from which the Decorrelator changes R, keeps the
/// layer's function, and bounds the step, all without n³ work.
class LowRankRule : public Rule {
 public:
  /// The step at rate `eta`. As eta falls to 0 the step becomes the identity, and it must be linear
  /// in eta.
  virtual LowRankStep step(const Observation& sample, double eta) const = 0;
};

/// One step of a dense rule.
struct DenseStep {
  at::Tensor state;        ///< the new state, [n, n]
  at::Tensor matrix;       ///< R after the step, [n, n]; undefined if R stays as it is
  at::Tensor inverse;      ///< its inverse, [n, n]; undefined with `matrix`
  double eta = 0;          ///< rate used
  bool shortened = false;  ///< the step was made shorter than asked
};

/// A rule that replaces R as a whole, at n³ cost whenever it does, and keeps a state beside it.
class DenseRule : public Rule {
 public:
  /// Name of the state in the state dictionary, such as `covariance`.
  virtual std::string state_name() const = 0;

  /// Whether the state starts as the identity (else as zero).
  virtual bool starts_from_identity() const = 0;

  /// Whether R is replaced at intervals by a new one that may be far from the old, so that
  /// optimizers have to move their moments with it.
  virtual bool refreshes() const = 0;

  /// The steps of all blocks of one layer at rate `eta`.
  virtual std::vector<DenseStep> step(const std::vector<Observation>& blocks, double eta) const = 0;
};

/// Builds a rule for the options of a layer.
using RuleFactory = std::function<std::shared_ptr<const Rule>(const DecorrelatorOptions&)>;

/// Makes `method` a name that DecorrelatorOptions::method, and with it every layer and
/// configuration, accepts. Call it before the first layer of that method is built; not meant to be
/// called from several threads. Throws `std::invalid_argument` if the name is taken or empty.
void register_rule(const std::string& method, RuleFactory factory);

/// The rule that `options.method` names. Throws `std::invalid_argument` for a name that is not in
/// methods(). `none` has no rule.
std::shared_ptr<const Rule> make_rule(const DecorrelatorOptions& options);

}  // namespace decorr::whitening
