// The one place that changes R, μ, and the weights that follow: DecorrelatorImpl::update().
#include "decorr/core/check.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/norm.h"
#include "decorr/whitening/decorrelator.h"
#include "decorr/whitening/matrix_update.h"
#include "decorr/whitening/readout_update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace decorr::whitening {
namespace {

constexpr double kMaxGainPerStep = 2.0;
constexpr double kMaxStep = 0.5;

at::Tensor columns(const at::Tensor& rows, const BlockPlace& place) {
  return rows.narrow(1, place.begin, place.size);
}

double mean_square(const at::Tensor& tensor) { return tensor.square().mean().item<double>(); }

// Whether the rows differ from their mean by no more than rounding does, padding aside.
bool identical_rows(const Rows& rows, const at::Tensor& mean) {
  const double epsilon = rows.x.scalar_type() == at::kDouble
                             ? std::numeric_limits<double>::epsilon()
                             : std::numeric_limits<float>::epsilon();
  const at::Tensor deviation = rows.x - mean;
  const double spread =
      (rows.centred.defined() ? deviation * rows.centred : deviation).abs().max().item<double>();
  return spread <= 8 * epsilon * rows.x.abs().max().item<double>();
}

}  // namespace

// Everything an update needs to know, computed before anything is changed.
struct DecorrelatorImpl::Prepared {
  std::vector<BlockPlace> blocks;
  at::Tensor rows;        // [s, n] as they came
  at::Tensor new_mean;    // [n / area]
  at::Tensor x;           // [s, n] centred
  at::Tensor damped;      // [s, n] centred, with the damping noise
  at::Tensor u;           // [s, n] decorrelated
  at::Tensor moved;       // [1, n] R_old·(μ_new - μ_old)
  double noise_variance;  // λv̄
  double momentum;        // weight of this sample in running statistics
};

std::vector<BlockPlace> DecorrelatorImpl::blocks() const {
  std::vector<BlockPlace> places;
  const std::int64_t in_group = features() / layout_.groups;
  const std::int64_t size = matrix_.dim() == 1 ? in_group : matrix_.size(1);
  for (std::int64_t group = 0; group < layout_.groups; ++group)
    for (std::int64_t begin = 0; begin < in_group; begin += size)
      places.push_back({group * in_group + begin, std::min(size, in_group - begin), group, begin});
  return places;
}

// The view of a block of `packed`, which has the form of R.
at::Tensor DecorrelatorImpl::block_of(const at::Tensor& packed, const BlockPlace& place) const {
  const at::Tensor rows = packed.narrow(0, place.begin, place.size);
  return rows.dim() == 1 ? rows : rows.narrow(1, 0, place.size);
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
  if (identical_rows(sampled, expanded(batch_mean))) return "all rows alike";

  prepared.blocks = blocks();
  prepared.momentum = applied() == 0 ? 1.0 : options_.mean_momentum;
  prepared.new_mean = at::lerp(running_mean_, batch_mean, prepared.momentum);
  prepared.x = prepared.rows - expanded(options_.mean == "batch" ? batch_mean : prepared.new_mean);
  if (sampled.centred.defined()) prepared.x.mul_(sampled.centred);
  prepared.noise_variance = options_.damping * mean_square(prepared.x);
  if (!std::isfinite(prepared.noise_variance)) return "activity overflows";
  return rule_->reads_output() ? damp(prepared) : std::string();
}

// μ_new - μ_old, [1, n].
at::Tensor DecorrelatorImpl::mean_shift(const Prepared& prepared) const {
  return expanded(prepared.new_mean - running_mean_).unsqueeze(0);
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
  // Together, so that R is read once.
  const std::int64_t count = prepared.damped.size(0);
  const at::Tensor images = times_transposed(at::cat({prepared.damped, mean_shift(prepared)}));
  prepared.u = images.narrow(0, 0, count);
  prepared.moved = images.narrow(0, count, 1);
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

double DecorrelatorImpl::gain(const Prepared& prepared, const BlockPlace& place,
                              const at::Tensor& u) const {
  if (options_.gain == "none" || rule_->diagonal()) return 1.0;
  if (options_.gain == "published") {
    const at::Tensor norms = columns(prepared.rows, place).square().sum(1).sqrt();
    return (norms / (u.square().sum(1) + 1e-8).sqrt()).mean().item<double>();
  }
  const double ratio = std::sqrt(mean_square(columns(prepared.damped, place)) / mean_square(u));
  return std::clamp(ratio, 1 / kMaxGainPerStep, kMaxGainPerStep);
}

// What the rule sees of a block; its scale is 0 if the block is silent.
Observation DecorrelatorImpl::observation(const Prepared& prepared, const BlockPlace& place) const {
  Observation sample;
  sample.x = columns(prepared.x, place);
  sample.matrix = block_of(matrix_, place);
  if (state_.defined()) sample.state = block_of(state_, place);
  sample.noise_variance = prepared.noise_variance;
  sample.momentum = prepared.momentum;
  sample.update = applied();
  sample.scale = sample.gain = 1;
  if (rule_->reads_output()) {
    sample.u = columns(prepared.u, place);
    const double energy = mean_square(sample.u);
    if (options_.scale_free || !(energy > 0)) sample.scale = energy;
    if (energy > 0) sample.gain = gain(prepared, place, sample.u);
  }
  return sample;
}

// The changes of all blocks; null for a block that has no activity, which is left alone.
BlockUpdates DecorrelatorImpl::plan(const Prepared& prepared, bool preserve,
                                    UpdateReport& report) const {
  std::vector<Observation> samples;
  double gains = 0;
  for (const BlockPlace& place : prepared.blocks) {
    samples.push_back(observation(prepared, place));
    gains += samples.back().gain;
  }
  report.gain = gains / static_cast<double>(samples.size());
  report.eta = std::numeric_limits<double>::infinity();

  BlockUpdates updates(samples.size());
  if (const auto* rule = dynamic_cast<const LowRankRule*>(rule_.get())) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (!(samples[i].scale > 0)) continue;
      const double eta = bounded_rate(*rule, samples[i], report.shortened);
      report.eta = std::min(report.eta, eta);
      updates[i] = std::make_unique<LowRankUpdate>(
          samples[i].matrix, samples[i].u, rule->step(samples[i], eta), samples[i].gain, preserve);
    }
    return updates;
  }
  const auto& rule = dynamic_cast<const DenseRule&>(*rule_);
  std::vector<DenseStep> steps =
      rule.step(samples, options_.lr * options_.schedule.factor(applied()));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!(samples[i].scale > 0)) continue;
    report.eta = std::min(report.eta, steps[i].eta);
    report.shortened = report.shortened || steps[i].shortened;
    report.refreshed = report.refreshed || (rule.refreshes() && steps[i].matrix.defined());
    updates[i] = std::make_unique<DenseUpdate>(samples[i].matrix, samples[i].state,
                                               std::move(steps[i]), rule.refreshes());
  }
  return updates;
}

UpdateReport DecorrelatorImpl::apply(const Prepared& prepared, at::ArrayRef<Readout> readouts) {
  UpdateReport report;
  const bool preserve = options_.function_preserving && !readouts.empty();
  const BlockUpdates updates = plan(prepared, preserve, report);
  bool finite = std::all_of(updates.begin(), updates.end(),
                            [](const auto& update) { return !update || update->finite(); });
  std::vector<ReadoutUpdate> followers;
  if (preserve && finite) {
    const at::Tensor moved =
        prepared.moved.defined() ? prepared.moved : times_transposed(mean_shift(prepared));
    for (const Readout& readout : readouts) {
      followers.emplace_back(readout, prepared.blocks, updates,
                             moved.view({layout_.groups, 1, -1}));
      finite = finite && followers.back().finite();
    }
  }
  if (!finite) {
    report.outcome = UpdateReport::Outcome::kSkipped;
    report.reason = "step not finite";
    return report;
  }
  for (const ReadoutUpdate& follower : followers) follower.apply(prepared.blocks, updates);
  for (const auto& update : updates)
    if (update) update->apply_to_matrix();
  rounded_ = at::Tensor();  // products write without telling LibTorch
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
