// The one place that changes R, μ, and the weights that follow: DecorrelatorImpl::update().
#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/norm.h"
#include "decorr/whitening/decorrelator.h"
#include "decorr/whitening/matrix_update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace decorr::whitening {
namespace {

constexpr double kMaxGainPerStep = 2.0;
constexpr double kMaxStep = 0.5;

double mean_square(const at::Tensor& tensor) { return tensor.square().mean().item<double>(); }

// Whether the rows differ from their mean by no more than rounding does.
bool identical_rows(const at::Tensor& rows, const at::Tensor& mean) {
  const double epsilon = rows.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                           : std::numeric_limits<float>::epsilon();
  const double spread = (rows - mean).abs().max().item<double>();
  return spread <= 8 * epsilon * rows.abs().max().item<double>();
}

}  // namespace

// A block of R and where it is.
struct DecorrelatorImpl::Block {
  std::int64_t begin;     // first feature, over all groups
  std::int64_t size;      // features
  std::int64_t group;     // the group that it is in
  std::int64_t in_group;  // first feature, within the group
  at::Tensor matrix;      // view of R: [size, size], or [size]
  at::Tensor state;       // view of the rule's state

  at::Tensor columns(const at::Tensor& rows) const { return rows.narrow(1, begin, size); }
};

// Everything an update needs to know, computed before anything is changed.
struct DecorrelatorImpl::Prepared {
  std::vector<Block> blocks;
  at::Tensor rows;        // [s, n] as they came
  at::Tensor new_mean;    // [n / area]
  at::Tensor x;           // [s, n] centred
  at::Tensor damped;      // [s, n] centred, with the damping noise
  at::Tensor u;           // [s, n] decorrelated
  double noise_variance;  // λv̄
  double momentum;        // weight of this sample in running statistics
};

// A readout with its rows flattened to two dimensions, a copy where that is no view.
struct DecorrelatorImpl::Follower {
  explicit Follower(const at::Tensor& tensor)
      : original(tensor), flat(tensor.dim() == 2 ? tensor : tensor.flatten(0, 1)) {}

  // The entries of the group's rows that read the block's features.
  at::Tensor part(const Block& block, std::int64_t groups) const {
    const std::int64_t rows = flat.size(0) / groups;
    return flat.narrow(0, block.group * rows, rows).narrow(1, block.in_group, block.size);
  }

  void write_back() const {
    if (!flat.is_alias_of(original)) at::Tensor(original).copy_(flat.view(original.sizes()));
  }

  at::Tensor original, flat;
};

std::vector<DecorrelatorImpl::Block> DecorrelatorImpl::blocks() const {
  std::vector<Block> result;
  const std::int64_t in_group = features() / layout_.groups;
  const auto add = [&](std::int64_t group, std::int64_t begin, const at::Tensor& matrix,
                       const at::Tensor& state) {
    result.push_back({group * in_group + begin, matrix.size(0), group, begin, matrix, state});
  };
  for (std::int64_t i = 0; i < layout_.groups; ++i) {
    const at::Tensor group = group_matrix(i);
    if (group.dim() == 1) {
      add(i, 0, group, at::Tensor());
      continue;
    }
    const at::Tensor state =
        state_.defined() ? state_.narrow(0, i * in_group, in_group) : at::Tensor();
    for (std::int64_t j = 0; j < linalg::block_count(group); ++j)
      add(i, j * group.size(1), linalg::block(group, j),
          state.defined() ? linalg::block(state, j) : at::Tensor());
  }
  return result;
}

void DecorrelatorImpl::check_readouts(at::ArrayRef<Readout> readouts) const {
  const std::int64_t width = features() / layout_.groups;
  for (const Readout& readout : readouts) {
    const at::Tensor& weight = readout.weight;
    check_argument((weight.dim() == 2 || weight.dim() == 3) && weight.size(-1) == width &&
                       weight.size(0) % layout_.groups == 0,
                   "[Decorrelator] a readout's weight must be [m, {}]{}, got [{}]", width,
                   layout_.groups > 1 ? fmt::format(" with m a multiple of {}", layout_.groups)
                                      : std::string(),
                   fmt::join(weight.sizes(), ", "));
    for (const at::Tensor& gradient : readout.gradients)
      check_argument(gradient.sizes() == weight.sizes(),
                     "[Decorrelator] a readout's gradient must be [{}] like its weight, got [{}]",
                     fmt::join(weight.sizes(), ", "), fmt::join(gradient.sizes(), ", "));
  }
}

// Fills in `prepared`; returns why the update must be skipped, or nothing.
std::string DecorrelatorImpl::prepare(Prepared& prepared) const {
  if (sampler_.rows() == 0) return "no forward pass in training mode since the last update";
  if (sampler_.rows() < 2) return "fewer than two rows";
  const at::Tensor batch_mean = sampler_.mean();
  const Rows sampled = sampler_.sample();
  prepared.rows = sampled.x;
  if (!all_finite({batch_mean, prepared.rows})) return "input not finite";
  if (identical_rows(prepared.rows, expanded(batch_mean))) return "all rows alike";

  prepared.blocks = blocks();
  prepared.momentum = applied() == 0 ? 1.0 : options_.mean_momentum;
  prepared.new_mean = at::lerp(running_mean_, batch_mean, prepared.momentum);
  prepared.x = prepared.rows - expanded(options_.mean == "batch" ? batch_mean : prepared.new_mean);
  if (sampled.centred.defined()) prepared.x.mul_(sampled.centred);
  prepared.noise_variance = options_.damping * mean_square(prepared.x);
  if (!std::isfinite(prepared.noise_variance)) return "activity overflows";
  return rule_->reads_output() ? damp(prepared) : std::string();
}

// Adds the damping noise and computes what the rule sees.
std::string DecorrelatorImpl::damp(Prepared& prepared) const {
  prepared.damped = prepared.x;
  if (options_.damping > 0) {
    // White noise in x-space adds λv̄·I to the covariance that the rule sees, at no n³ cost. Signs
    // are the noise of given variance that disturbs the estimate least.
    const RandomStream noise = random_.at(static_cast<std::uint64_t>(steps())).at(1);
    prepared.damped = at::add(prepared.x, noise.signs(prepared.x.sizes(), prepared.x.options()),
                              std::sqrt(prepared.noise_variance));
  }
  prepared.u = times_transposed(prepared.damped);
  const double energy = mean_square(prepared.u);
  if (!std::isfinite(energy) || !all_finite(prepared.u)) return "activity overflows";
  return energy > 0 ? "" : "activity underflows";
}

// The scheduled rate, lowered until a·λ_max(U D⁻¹ Uᵀ) <= 1/2 and D >= 1/2.
double DecorrelatorImpl::bounded_rate(const LowRankRule& rule, const Observation& sample,
                                      bool& shortened) const {
  double eta = options_.lr * options_.schedule.factor(applied());
  if (!options_.guard || rule.diagonal()) return eta;
  const double bound = linalg::eigenvalue_bound(linalg::gram(sample.u));
  // The step is linear in eta, so that one correction for D and one for a always suffice.
  for (int pass = 0; pass < 3; ++pass) {
    const LowRankStep step = rule.step(sample, eta);
    const double smallest =
        step.diagonal.defined() ? std::min(1.0, step.diagonal.min().item<double>()) : 1.0;
    const double length =
        smallest < 1 - kMaxStep ? 1 - smallest : step.a * bound / std::min(1.0, smallest);
    if (length <= kMaxStep) break;
    eta *= kMaxStep / length;
    shortened = true;
  }
  return eta;
}

double DecorrelatorImpl::gain(const Prepared& prepared, const Block& block,
                              const at::Tensor& u) const {
  if (options_.gain == "none" || rule_->diagonal()) return 1.0;
  if (options_.gain == "published") {
    const at::Tensor norms = block.columns(prepared.rows).square().sum(1).sqrt();
    return (norms / (u.square().sum(1) + 1e-8).sqrt()).mean().item<double>();
  }
  const double ratio = std::sqrt(mean_square(block.columns(prepared.damped)) / mean_square(u));
  return std::clamp(ratio, 1 / kMaxGainPerStep, kMaxGainPerStep);
}

// The changes of all blocks; null for a block that has no activity, which is left alone.
DecorrelatorImpl::Updates DecorrelatorImpl::plan(const Prepared& prepared, bool preserve,
                                                 UpdateReport& report) const {
  std::vector<Observation> observations;
  std::vector<bool> silent;
  double gains = 0;
  for (const Block& block : prepared.blocks) {
    Observation sample;
    sample.x = block.columns(prepared.x);
    sample.matrix = block.matrix;
    sample.state = block.state;
    sample.noise_variance = prepared.noise_variance;
    sample.momentum = prepared.momentum;
    sample.update = applied();
    sample.scale = sample.gain = 1;
    silent.push_back(false);
    if (rule_->reads_output()) {
      sample.u = block.columns(prepared.u);
      const double energy = mean_square(sample.u);
      silent.back() = !(energy > 0);
      if (options_.scale_free) sample.scale = energy;
      if (!silent.back()) sample.gain = gain(prepared, block, sample.u);
    }
    gains += sample.gain;
    observations.push_back(std::move(sample));
  }
  report.gain = gains / static_cast<double>(observations.size());

  Updates updates(observations.size());
  if (const auto* rule = dynamic_cast<const LowRankRule*>(rule_.get())) {
    report.eta = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < observations.size(); ++i) {
      if (silent[i]) continue;
      const Observation& sample = observations[i];
      const double eta = bounded_rate(*rule, sample, report.shortened);
      report.eta = std::min(report.eta, eta);
      updates[i] = std::make_unique<LowRankUpdate>(sample.matrix, sample.u, rule->step(sample, eta),
                                                   sample.gain, preserve);
    }
    return updates;
  }
  const auto& rule = dynamic_cast<const DenseRule&>(*rule_);
  std::vector<DenseStep> steps =
      rule.step(observations, options_.lr * options_.schedule.factor(applied()));
  report.eta = steps.front().eta;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    report.eta = std::min(report.eta, steps[i].eta);
    report.shortened = report.shortened || steps[i].shortened;
    report.refreshed = report.refreshed || (rule.refreshes() && steps[i].matrix.defined());
    if (!silent[i])
      updates[i] = std::make_unique<DenseUpdate>(observations[i].matrix, observations[i].state,
                                                 std::move(steps[i]), rule.refreshes());
  }
  return updates;
}

UpdateReport DecorrelatorImpl::apply(const Prepared& prepared, at::ArrayRef<Readout> readouts) {
  UpdateReport report;
  const bool preserve = options_.function_preserving && !readouts.empty();
  const Updates updates = plan(prepared, preserve, report);
  bool finite = std::all_of(updates.begin(), updates.end(),
                            [](const auto& update) { return !update || update->finite(); });

  // For each readout: its flat weights, for each block what they become, and the shift of the bias.
  struct Move {
    Follower weight;
    std::vector<at::Tensor> projections;
    at::Tensor bias, shift;
    std::vector<std::pair<Follower, std::vector<at::Tensor>>> gradients;
  };
  std::vector<Move> moves;
  const std::int64_t groups = layout_.groups;
  for (const Readout& readout : preserve ? readouts : at::ArrayRef<Readout>()) {
    if (!finite) break;
    Move move{Follower(readout.weight), {}, readout.bias, {}, {}};
    for (const at::Tensor& gradient : readout.gradients)
      move.gradients.emplace_back(Follower(gradient), std::vector<at::Tensor>());
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const Block& block = prepared.blocks[i];
      const MatrixUpdate* update = updates[i].get();
      move.projections.push_back(
          update != nullptr ? update->project(move.weight.part(block, groups)) : at::Tensor());
      for (auto& [gradient, moved] : move.gradients)
        moved.push_back(update != nullptr ? update->transport(gradient.part(block, groups))
                                          : at::Tensor());
    }
    if (readout.bias.defined()) {
      const at::Tensor moved =
          times_transposed(expanded(prepared.new_mean - running_mean_).unsqueeze(0))
              .view({groups, 1, -1});
      std::vector<at::Tensor> shifts;
      const std::int64_t rows = move.weight.flat.size(0) / groups;
      for (std::int64_t g = 0; g < groups; ++g)
        shifts.push_back(
            linalg::gemm(moved[g], move.weight.flat.narrow(0, g * rows, rows).t()).squeeze(0));
      move.shift = at::cat(shifts).view({readout.bias.size(0), -1}).sum(1);
    }
    finite = all_finite(move.projections) && all_finite(move.shift);
    for (const auto& gradient : move.gradients) finite = finite && all_finite(gradient.second);
    moves.push_back(std::move(move));
  }
  if (!finite) {
    report.outcome = UpdateReport::Outcome::kSkipped;
    report.reason = "step not finite";
    return report;
  }

  for (const Move& move : moves) {
    if (move.bias.defined()) at::Tensor(move.bias).add_(move.shift);
    for (std::size_t i = 0; i < updates.size(); ++i) {
      if (!updates[i]) continue;
      const Block& block = prepared.blocks[i];
      updates[i]->apply_to_readout(move.weight.part(block, groups), move.projections[i]);
      for (const auto& [gradient, moved] : move.gradients)
        if (moved[i].defined()) gradient.part(block, groups).copy_(moved[i]);
    }
    move.weight.write_back();
    for (const auto& gradient : move.gradients) gradient.first.write_back();
  }
  for (const auto& update : updates)
    if (update) update->apply_to_matrix();
  running_mean_.copy_(prepared.new_mean);
  report.outcome = UpdateReport::Outcome::kApplied;
  return report;
}

UpdateReport DecorrelatorImpl::update(at::ArrayRef<Readout> readouts) {
  const at::NoGradGuard no_grad;
  check_readouts(readouts);
  if (!active()) return {};
  if (!due()) {
    count(0);
    return {};
  }
  UpdateReport report;
  Prepared prepared;
  report.reason = prepare(prepared);
  if (report.reason.empty()) {
    report = apply(prepared, readouts);
  } else {
    report.outcome = UpdateReport::Outcome::kSkipped;
  }
  sampler_.clear();
  count(0);
  count(report.outcome == UpdateReport::Outcome::kApplied ? 1 : 2);
  if (report.shortened) count(3);
  return report;
}

}  // namespace decorr::whitening
