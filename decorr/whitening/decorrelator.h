#pragma once

#include "decorr/core/random.h"
#include "decorr/whitening/options.h"
#include "decorr/whitening/readout.h"
#include "decorr/whitening/row_sampler.h"
#include "decorr/whitening/rule.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace decorr::whitening {

struct BlockPlace;
class MatrixUpdate;

/// How the features of a layer's input are laid out.
struct FeatureLayout {
  std::int64_t features = 1;  ///< n, over all groups
  std::int64_t groups = 1;    ///< groups of n/groups features, each with an R of its own
  std::int64_t area = 1;      ///< features of one channel, which share a mean
};

/// What an update did.
struct UpdateReport {
  enum class Outcome {
    kNotDue,   ///< no rule (`none`), or between two updates (`update_every`)
    kApplied,  ///< R or what it is computed from, and μ, changed
    kSkipped,  ///< nothing changed; `reason` says why
  };
  Outcome outcome = Outcome::kNotDue;
  std::string reason;      ///< why the update was skipped
  double eta = 0;          ///< rate used, after schedule and guard (the lowest of all blocks)
  double gain = 1;         ///< scalar g (the mean over blocks)
  bool shortened = false;  ///< the guard made the step of a block shorter than asked
  bool refreshed = false;  ///< R was replaced by a new whitening matrix
};

/// Decorrelates a layer's input: u = R(x - μ), with R learnt by a local rule.
///
/// R is block-diagonal: a block for each group of features, or for each `block(b)` of each group.
/// Every block is learnt by itself, but for damping, which is relative to the variance of the whole
/// input. The forward pass in training mode only caches a sample of its input; update(), called
/// once per optimizer step, is the one place that changes R, μ and the weights that read u. In
/// evaluation mode nothing is cached and nothing changes. State dictionary: `matrix` ([n, b] as in
/// linalg/block_diagonal.h, one group after the other; [n] for `standardize`; absent for `none`),
/// `running_mean` [n/area], `counters` (int64: steps, applied, skipped, shortened), and what the
/// rule keeps, in the shape of `matrix`: `covariance` or `lateral`.
class DecorrelatorImpl : public torch::nn::Cloneable<DecorrelatorImpl> {
 public:
  /// Starts as the identity, R = I and μ = 0, for inputs of `features` columns.
  ///
  /// `random` draws the sampled rows and the damping noise. Throws `std::invalid_argument` for
  /// `features` < 1 or options that do not validate.
  explicit DecorrelatorImpl(std::int64_t features, DecorrelatorOptions options = {},
                            RandomStream random = RandomStream(0, "decorrelator"))
      : DecorrelatorImpl(FeatureLayout{features}, std::move(options), random) {}
  /// The same for features in groups or channels. Throws `std::invalid_argument` too if `groups` or
  /// `area` do not divide the features.
  DecorrelatorImpl(FeatureLayout layout, DecorrelatorOptions options, RandomStream random);

  void reset() override;

  /// Casts and moves as for any module, but for the counters, which stay whole numbers.
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Dtype dtype, bool non_blocking = false) override;
  using torch::nn::Module::to;

  /// Returns u = R(x - μ) for `input` [N, n], differentiable in the input; caches as observe()
  /// does.
  at::Tensor forward(const at::Tensor& input);

  /// R(x - μ) for `rows` [N, n] with the running mean, whatever the mode; caches nothing and is not
  /// differentiable.
  at::Tensor decorrelated(const at::Tensor& rows) const;

  /// Whether observe() would cache now: training mode, not paused, and an update is due.
  bool observes() const { return is_training() && !paused_ && due(); }

  /// While paused, forward passes in training mode leave no sample: for passes that are not the one
  /// that learns, such as a perturbed one.
  void pause(bool on) { paused_ = on; }
  bool paused() const { return paused_; }

  /// If observes(), caches the sample of `input` [N, n] for the next update. Layers that compute u
  /// in their own way call this instead of forward().
  void observe(const at::Tensor& input);
  /// The same for rows that are not all formed.
  void observe(const RowSource& source);

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

  /// Whether the rule replaces R as a whole at intervals, so that optimizers need to follow.
  bool refreshes() const;

  /// Whether the mean of the batch itself is to be subtracted now (`mean = batch`, training).
  bool uses_batch_mean() const { return active() && is_training() && options_.mean == "batch"; }

  /// R: [n, b] as in linalg/block_diagonal.h, a group after the other ([n, n] for one full block);
  /// [n] for a diagonal rule, undefined for `none`.
  const at::Tensor& matrix() const { return matrix_; }

  /// R rounded to bfloat16, kept until R changes; for products that round their operands.
  const at::Tensor& rounded_matrix();

  /// R of group `index`: [n/groups, b] or [n/groups], a view.
  at::Tensor group_matrix(std::int64_t index) const;

  /// μ, [n/area], one number a channel; undefined for `none`.
  const at::Tensor& running_mean() const { return running_mean_; }

  /// What the rule keeps beside R, in the shape of matrix(); undefined for most.
  const at::Tensor& state() const { return state_; }

  const DecorrelatorOptions& options() const { return options_; }
  const FeatureLayout& layout() const { return layout_; }
  std::int64_t features() const { return layout_.features; }

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
  void check_readouts(at::ArrayRef<Readout> readouts) const;
  std::vector<BlockPlace> blocks() const;
  at::Tensor block_of(const at::Tensor& packed, const BlockPlace& place) const;
  Observation observation(const Prepared& prepared, const BlockPlace& place) const;
  at::Tensor expanded(const at::Tensor& channel_mean) const;
  at::Tensor times_transposed(const at::Tensor& rows) const;
  std::string prepare(Prepared& prepared) const;
  at::Tensor mean_shift(const Prepared& prepared) const;
  std::string damp(Prepared& prepared) const;
  double bounded_rate(const LowRankRule& rule, const Observation& sample, bool& shortened) const;
  double gain(const Prepared& prepared, const BlockPlace& place, const at::Tensor& u) const;
  std::vector<std::unique_ptr<MatrixUpdate>> plan(const Prepared& prepared, bool preserve,
                                                  UpdateReport& report) const;
  UpdateReport apply(const Prepared& prepared, at::ArrayRef<Readout> readouts);

  FeatureLayout layout_;
  DecorrelatorOptions options_;
  RandomStream random_;
  std::shared_ptr<const Rule> rule_;
  RowSampler sampler_;
  bool paused_ = false;
  at::Tensor matrix_, running_mean_, counters_, state_;
  at::Tensor rounded_;  // of matrix_, at this version of it
  std::int64_t rounded_version_ = 0;
};

TORCH_MODULE(Decorrelator);

}  // namespace decorr::whitening
