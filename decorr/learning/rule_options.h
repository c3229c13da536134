#pragma once

#include <cstdint>
#include <string>

namespace decorr::learning {

/// Settings of the learning rules; each rule reads its own and ignores the rest. Checked by
/// validate(), which make_rule() and every rule with settings call.
struct RuleOptions {
  /// How feedback matrices B start: `uniform` or `normal` random numbers, or `weights`, a copy of
  /// the forward weights (not for direct-feedback-alignment).
  std::string feedback_init = "uniform";
  /// Root mean square of the entries of B at the start (and of the magnitudes of sign-symmetry), in
  /// units of that of the forward weights, > 0.
  double feedback_scale = 1;
  /// `input`: B follows R as W does, so that B·R, what the layer's input receives, stays the same;
  /// `decorrelated`: B stays.
  std::string feedback_space = "input";

  /// sign-symmetry: `uniform`, one magnitude for all entries; `fixed`, random magnitudes drawn
  /// once; `batch`, drawn anew for each batch.
  std::string magnitude = "uniform";

  /// node-perturbation: `simultaneous`, `iterative` or `activity-based`.
  std::string variant = "simultaneous";
  /// Perturbations: standard deviation σ > 0 of the noise, in units of a pre-activation
  /// (node-perturbation) or of a weight (weight-perturbation).
  double sigma = 1e-3;
  /// Perturbations: compare noise with its negative in place of nothing, which takes away what the
  /// curvature of the loss adds to the estimate's variance; its bias of order σ² stays.
  bool antithetic = false;

  /// Seed of whatever the rule draws.
  std::uint64_t seed = 0;

  /// Throws `std::invalid_argument` naming the first setting that is not valid.
  void validate() const;
};

}  // namespace decorr::learning
