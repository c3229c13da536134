#include "decorr/whitening/decorrelator.h"

#include "decorr/core/check.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/norm.h"
#include "decorr/whitening/low_rank_update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <utility>
#include <vector>

namespace decorr::whitening {
namespace {

constexpr double kMaxGainPerStep = 2.0;
constexpr double kMaxStep = 0.5;

double mean_square(const at::Tensor& tensor) { return tensor.square().mean().item<double>(); }

// Whether the rows differ from their batch's mean by no more than rounding does.
bool identical_rows(const at::Tensor& rows, const at::Tensor& batch_mean) {
  const double epsilon = rows.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                           : std::numeric_limits<float>::epsilon();
  const double spread = (rows - batch_mean).abs().max().item<double>();
  return spread <= 8 * epsilon * rows.abs().max().item<double>();
}

}  // namespace

// Everything an update needs to know, computed before anything is changed.
struct DecorrelatorImpl::Prepared {
  at::Tensor rows;      // [s, n] as they came
  at::Tensor new_mean;  // [n]
  at::Tensor damped;    // [s, n] centred, with the damping noise
  Observation sample;
};

DecorrelatorImpl::DecorrelatorImpl(std::int64_t features, DecorrelatorOptions options,
                                   RandomStream random)
    : features_(features),
      options_(std::move(options)),
      random_(random),
      sampler_(options_.sample_fraction, options_.max_samples, options_.sampling, random) {
  check_argument(features_ >= 1, "[Decorrelator] features must be at least 1, got {}", features_);
  options_.validate();
  rule_ = make_rule(options_.method);
  reset();
}

void DecorrelatorImpl::reset() {
  sampler_.clear();
  if (!active()) return;
  matrix_ =
      register_buffer("matrix", rule_->diagonal() ? at::ones({features_}) : at::eye(features_));
  running_mean_ = register_buffer("running_mean", at::zeros({features_}));
  counters_ = register_buffer("counters", at::zeros({4}, at::kLong));
}

at::Tensor DecorrelatorImpl::forward(const at::Tensor& input) {
  check_argument(input.dim() == 2 && input.size(1) == features_,
                 "[Decorrelator] input must be [N, {}], got [{}]", features_,
                 fmt::join(input.sizes(), ", "));
  if (!active()) return input;
  observe(input);
  const at::Tensor centred = input - (uses_batch_mean() ? input.mean(0) : running_mean_);
  return matrix_.dim() == 1 ? centred * matrix_ : at::matmul(centred, matrix_.t());
}

void DecorrelatorImpl::observe(const at::Tensor& input) {
  if (is_training() && due()) sampler_.add(input, steps());
}

at::Tensor DecorrelatorImpl::decorrelate(const at::Tensor& centred) const {
  return matrix_.dim() == 1 ? centred * matrix_ : linalg::gemm(centred, matrix_.t());
}

// Fills in `prepared`; returns why the update must be skipped, or nothing.
std::string DecorrelatorImpl::prepare(Prepared& prepared) const {
  if (sampler_.rows() == 0) return "no forward pass in training mode since the last update";
  if (sampler_.rows() < 2) return "fewer than two rows";
  const at::Tensor batch_mean = sampler_.mean();
  prepared.rows = sampler_.sample();
  if (!all_finite({batch_mean, prepared.rows})) return "input not finite";
  if (identical_rows(prepared.rows, batch_mean)) return "all rows alike";

  const double momentum = applied() == 0 ? 1.0 : options_.mean_momentum;
  prepared.new_mean = at::lerp(running_mean_, batch_mean, momentum);
  Observation& sample = prepared.sample;
  sample.x = prepared.rows - (options_.mean == "batch" ? batch_mean : prepared.new_mean);
  sample.matrix = matrix_;
  sample.momentum = momentum;
  sample.noise_variance = options_.damping * mean_square(sample.x);
  prepared.damped = sample.x;
  if (options_.damping > 0) {
    // White noise in x-space adds λv̄·I to the covariance that the rule sees, at no n³ cost. Signs
    // are the noise of given variance that disturbs the estimate least.
    const RandomStream noise = random_.at(static_cast<std::uint64_t>(steps())).at(1);
    prepared.damped = at::add(sample.x, noise.signs(sample.x.sizes(), sample.x.options()),
                              std::sqrt(sample.noise_variance));
  }
  sample.u = decorrelate(prepared.damped);
  sample.scale = options_.scale_free ? mean_square(sample.u) : 1.0;
  if (!std::isfinite(sample.noise_variance) || !std::isfinite(sample.scale) ||
      !all_finite(sample.u))
    return "activity overflows";
  if (sample.scale <= 0) return "activity underflows";
  return {};
}

// The scheduled rate, lowered until a·λ_max(U D⁻¹ Uᵀ) <= 1/2.
double DecorrelatorImpl::bounded_rate(const Observation& sample, bool& shortened) const {
  double eta = options_.lr * options_.schedule.factor(applied());
  if (!options_.guard || rule_->diagonal()) return eta;
  const double bound = eigenvalue_bound(linalg::gram(sample.u));
  // The step is linear in eta, so that one correction for a and one for min D always suffice.
  for (int pass = 0; pass < 2; ++pass) {
    const LowRankStep step = rule_->step(sample, eta);
    const double smallest =
        step.diagonal.defined() ? std::min(1.0, step.diagonal.min().item<double>()) : 1.0;
    const double length = step.a * bound / smallest;
    if (length <= kMaxStep) break;
    eta *= kMaxStep / length;
    shortened = true;
  }
  return eta;
}

double DecorrelatorImpl::gain(const Prepared& prepared) const {
  if (options_.gain == "none" || rule_->diagonal()) return 1.0;
  const at::Tensor& u = prepared.sample.u;
  if (options_.gain == "published") {
    const at::Tensor norms = prepared.rows.square().sum(1).sqrt();
    return (norms / (u.square().sum(1) + 1e-8).sqrt()).mean().item<double>();
  }
  const double ratio = std::sqrt(mean_square(prepared.damped) / mean_square(u));
  return std::clamp(ratio, 1 / kMaxGainPerStep, kMaxGainPerStep);
}

UpdateReport DecorrelatorImpl::apply(const Prepared& prepared, at::ArrayRef<Readout> readouts) {
  UpdateReport report;
  report.eta = bounded_rate(prepared.sample, report.shortened);
  report.gain = gain(prepared);
  const bool preserve = options_.function_preserving && !readouts.empty();
  const LowRankUpdate update(matrix_, prepared.sample.u, rule_->step(prepared.sample, report.eta),
                             report.gain, preserve);

  std::vector<at::Tensor> projections, shifts;
  if (preserve) {
    const at::Tensor moved = decorrelate((prepared.new_mean - running_mean_).unsqueeze(0));
    for (const Readout& readout : readouts) {
      projections.push_back(update.project(readout.weight));
      shifts.push_back(readout.bias.defined() ? linalg::gemm(moved, readout.weight.t()).squeeze(0)
                                              : at::Tensor());
    }
  }
  if (!update.finite() || !all_finite(projections) || !all_finite(shifts)) {
    report.outcome = UpdateReport::Outcome::kSkipped;
    report.reason = "step not finite";
    return report;
  }

  for (std::size_t i = 0; i < projections.size(); ++i) {
    if (shifts[i].defined()) at::Tensor(readouts[i].bias).add_(shifts[i]);
    update.apply_to_readout(readouts[i].weight, projections[i]);
  }
  update.apply_to_matrix();
  running_mean_.copy_(prepared.new_mean);
  report.outcome = UpdateReport::Outcome::kApplied;
  return report;
}

UpdateReport DecorrelatorImpl::update(at::ArrayRef<Readout> readouts) {
  const at::NoGradGuard no_grad;
  for (const Readout& readout : readouts)
    check_argument(readout.weight.dim() == 2 && readout.weight.size(1) == features_,
                   "[Decorrelator] a readout's weight must be [m, {}], got [{}]", features_,
                   fmt::join(readout.weight.sizes(), ", "));
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

double DecorrelatorImpl::matrix_norm() const {
  if (!active()) return 1;
  if (matrix_.dim() == 1) return matrix_.abs().max().item<double>();
  return linalg::spectral_norm(matrix_);
}

void DecorrelatorImpl::pretty_print(std::ostream& stream) const {
  stream << "decorr::whitening::Decorrelator(features=" << features_
         << ", method=" << options_.method << ")";
}

}  // namespace decorr::whitening
