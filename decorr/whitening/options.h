#pragma once

#include "decorr/core/schedule.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace decorr::whitening {

/// Settings of a Decorrelator. A default-constructed object is the preset `default`.
///
/// Strings rather than enumerations, so that a setting reads the same in C++, TOML and Python; they
/// are checked by validate(), which every Decorrelator calls when it is built.
struct DecorrelatorOptions {
  /// Rule that learns R: one of methods(): `norm-preserving`, `copi`, `dbp`, `relative-gradient`,
  /// `lateral`, `zca`, `pca`, `cholesky`, `newton-schulz`, `standardize`, `none`, or one that
  /// register_rule() was given.
  std::string method = "norm-preserving";
  /// Which features decorrelate which: `full`, all of them; `block(b)`, those in the same block of
  /// b (the last block may be smaller); `channel`, the channels of a convolution, whatever their
  /// place in the kernel, by one matrix for all places (elsewhere the same as `full`).
  /// `standardize` ignores it but for `channel`.
  std::string structure = "full";

  /// Decorrelation learning rate η > 0, per update (`standardize` and the rules that whiten a
  /// running covariance do not use it).
  double lr = 2e-3;
  /// Warm-up and decay of η over updates.
  Schedule schedule;

  /// Share f of the batch's rows that an update samples, in (0, 1]: s = min(N, ⌊fN⌋ + 1).
  double sample_fraction = 0.1;
  /// Upper bound of s; 0 is no bound. Convolutions and sequences have many rows a sample.
  std::int64_t max_samples = 128;
  /// `global`: rows drawn without replacement by their global index; `first`: the first s rows.
  std::string sampling = "global";
  /// Steps between updates, >= 1. Steps in between neither sample nor change anything.
  std::int64_t update_every = 4;

  /// Damping λ >= 0, in units of the input's mean variance: the target is R(Σ + λv̄I)Rᵀ ∝ I.
  double damping = 0.3;
  /// Scalar g that keeps the size of the activity: `energy`, `published` (not for rules that whiten
  /// a running covariance) or `none`.
  std::string gain = "energy";

  /// Which mean is subtracted in training: `running` or `batch` (evaluation: always the running
  /// one).
  std::string mean = "running";
  /// Weight of the newest batch in the running mean, in (0, 1].
  double mean_momentum = 0.1;

  /// Where a convolution with zero padding centres its input: `raw` pads first and then subtracts μ
  /// everywhere, which folding and function preservation keep exact; `demeaned` subtracts first, so
  /// that the border is padded with the mean. Other layers ignore it.
  std::string pad = "raw";

  /// `dbp`: weight κ in [0, 1] of unit variance against zero covariance.
  double kappa = 0.5;
  /// `lateral`: learn unit variances too.
  bool unit_variance = false;
  /// `lateral`: explicit steps K of the settling dynamics; 0 solves for their fixed point.
  std::int64_t settling = 0;
  /// `zca`, `pca`, `cholesky`, `newton-schulz`: updates T >= 1 between new whitening matrices.
  std::int64_t refresh_every = 50;
  /// The same: least weight of the newest sample in the running covariance, in (0, 1]; the first
  /// samples are averaged.
  double covariance_momentum = 0.01;
  /// The same: what a new whitening matrix does to the optimizer's moments of the weights:
  /// `transport` moves the first moment along and keeps the second, `keep` leaves both, `reset`
  /// sets both to zero.
  std::string moments = "transport";

  /// Products with R in forward and backward passes: `float32`, or `bf16`, which rounds their
  /// operands (on a CPU with bfloat16 instructions; elsewhere an error where the layer is built).
  /// R and its updates are float32 in any case.
  std::string precision = "float32";

  /// Divide C by the mean of U², so that the trajectory of R does not depend on the input's scale.
  bool scale_free = true;
  /// Change W and b with R and μ so that the layer keeps computing the same function.
  bool function_preserving = true;
  /// Shorten a step so that it cannot turn a direction of R around: η·λ_max(C) ≤ 1/2.
  bool guard = true;

  /// The named preset: `default`, or `published` (CRGD as its text says). Throws
  /// `std::invalid_argument` for another name.
  static DecorrelatorOptions preset(const std::string& name);

  /// Throws `std::invalid_argument` naming the first setting that is out of its range.
  void validate() const;

  /// The block size that `structure` asks for in `features` features. Throws
  /// `std::invalid_argument` if `structure` is none of the forms above.
  std::int64_t block_size(std::int64_t features) const;
};

/// Names that DecorrelatorOptions::method accepts.
std::vector<std::string> methods();

/// Names that DecorrelatorOptions::preset accepts.
std::vector<std::string> presets();

}  // namespace decorr::whitening
