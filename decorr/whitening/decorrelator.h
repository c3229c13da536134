#pragma once

#include "decorr/core/random.h"
#include "decorr/whitening/options.h"
#include "decorr/whitening/row_sampler.h"
#include "decorr/whitening/rule.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <string>

namespace decorr::whitening {

/// A linear map that reads u, and so must follow when R or μ changes: y = W·u + b.
struct Readout {
  at::Tensor weight;  ///< W, [m, n], changed in place
  at::Tensor bias;    ///< b, [m], changed in place; undefined if μ does not matter to this map
};

/// What an update did.
struct UpdateReport {
  enum class Outcome {
    kNotDue,   ///< no rule (`none`), or between two updates (`update_every`)
    kApplied,  ///< R and μ changed
    kSkipped,  ///< nothing changed; `reason` says why
  };
  Outcome outcome = Outcome::kNotDue;
  std::string reason;      ///< why the update was skipped
  double eta = 0;          ///< rate used, after schedule and guard
  double gain = 1;         ///< scalar g
  bool shortened = false;  ///< the guard made the step shorter than asked
};

/// Decorrelates a layer's input: u = R(x - μ), with R learnt by a local rule.
///
/// The forward pass in training mode only caches a sample of its input; update(), called once per
/// optimizer step, is the one place that changes R, μ and the weights that read u. In evaluation
/// mode nothing is cached and nothing changes. State dictionary: `matrix` ([n, n]; [n] for
/// `standardize`; absent for `none`), `running_mean` [n], `counters` (int64: steps, applied,
/// skipped, shortened).
class DecorrelatorImpl : public torch::nn::Cloneable<DecorrelatorImpl> {
 public:
  /// Starts as the identity, R = I and μ = 0, for inputs of `features` columns.
  ///
  /// `random` draws the sampled rows and the damping noise. Throws `std::invalid_argument` for
  /// `features` < 1 or options that do not validate.
  explicit DecorrelatorImpl(std::int64_t features, DecorrelatorOptions options = {},
                            RandomStream random = RandomStream(0, "decorrelator"));

  void reset() override;

  /// Returns u = R(x - μ) for `input` [N, n], differentiable in the input; caches as observe()
  /// does.
  at::Tensor forward(const at::Tensor& input);

  /// In training mode, if an update is due, caches the sample of `input` [N, n] for it; otherwise
  /// does nothing. Layers that compute u in their own way call this instead of forward().
  void observe(const at::Tensor& input);

  /// Applies one update from what was cached and forgets the cache.
  ///
  /// With `function_preserving`, the maps in `readouts` follow: W ← W·R_old·R_new⁻¹ and
  /// b ← b + W_old·R_old·(μ_new - μ_old), so that each computes the same function of x as before.
  /// An update from fewer than two rows, from identical rows or from anything that is not finite
  /// is skipped as a whole and counted. Throws `std::invalid_argument` for a readout of the wrong
  /// shape.
  UpdateReport update(at::ArrayRef<Readout> readouts = {});

  /// Whether there is a rule at all (`none` has none).
  bool active() const { return rule_ != nullptr; }

  /// Whether the mean of the batch itself is to be subtracted now (`mean = batch`, training).
  bool uses_batch_mean() const { return active() && is_training() && options_.mean == "batch"; }

  /// R: [n, n], [n] for a diagonal rule, undefined for `none`.
  const at::Tensor& matrix() const { return matrix_; }

  /// μ, [n]; undefined for `none`.
  const at::Tensor& running_mean() const { return running_mean_; }

  const DecorrelatorOptions& options() const { return options_; }
  std::int64_t features() const { return features_; }

  /// Calls of update(), and how many of them changed R, were skipped, were shortened by the guard.
  std::int64_t steps() const { return counter(0); }
  std::int64_t applied() const { return counter(1); }
  std::int64_t skipped() const { return counter(2); }
  std::int64_t shortened() const { return counter(3); }

  /// ‖R‖₂ (1 for `none`).
  double matrix_norm() const;

  void pretty_print(std::ostream& stream) const override;

 private:
  struct Prepared;

  std::int64_t counter(int index) const { return counters_[index].item<std::int64_t>(); }
  void count(int index) { counters_[index].add_(1); }
  bool due() const { return active() && steps() % options_.update_every == 0; }
  std::string prepare(Prepared& prepared) const;
  double bounded_rate(const Observation& sample, bool& shortened) const;
  double gain(const Prepared& prepared) const;
  UpdateReport apply(const Prepared& prepared, at::ArrayRef<Readout> readouts);
  at::Tensor decorrelate(const at::Tensor& centred) const;

  std::int64_t features_;
  DecorrelatorOptions options_;
  RandomStream random_;
  std::shared_ptr<const Rule> rule_;
  RowSampler sampler_;
  at::Tensor matrix_, running_mean_, counters_;
};

TORCH_MODULE(Decorrelator);

}  // namespace decorr::whitening
