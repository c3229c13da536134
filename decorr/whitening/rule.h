#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace decorr::whitening {

/// What one update sees of the layer's input: s sampled rows of n features.
struct Observation {
  at::Tensor x;           ///< [s, n] sampled rows less the mean
  at::Tensor u;           ///< [s, n] R(x + damping noise)
  at::Tensor matrix;      ///< R before the update: [n, n], or [n] for a diagonal rule
  double noise_variance;  ///< variance of the damping noise, λv̄
  double scale;           ///< C = UᵀU / (s·scale): the mean of U² if scale-free, else 1
  double momentum;        ///< weight of this sample in running statistics, in (0, 1]
};

/// One step of a rule, R ← g·(diag(d) - a·UᵀU)·R; the scalar gain g is not the rule's business.
struct LowRankStep {
  at::Tensor diagonal;  ///< d, [n], positive; undefined means all ones
  double a = 0;         ///< coefficient of UᵀU, >= 0
};

/// A local rule that learns the decorrelation matrix R of one layer.
///
/// A rule sees sampled activity and answers with a step in factored form, from which the
/// Decorrelator changes R, keeps the layer's function, and bounds the step, all without n³ work.
/// Rules are stateless; what they learn is in R.
class Rule {
 public:
  virtual ~Rule() = default;

  /// The step at rate `eta`. As eta falls to 0 the step becomes the identity.
  virtual LowRankStep step(const Observation& sample, double eta) const = 0;

  /// Whether R is diagonal and kept as a vector. Such a rule sets its own scale: no gain is
  /// applied.
  virtual bool diagonal() const { return false; }
};

/// The rule called `method`. Throws `std::invalid_argument` for a name that is not in methods().
/// `none` has no rule.
std::shared_ptr<const Rule> make_rule(const std::string& method);

}  // namespace decorr::whitening
