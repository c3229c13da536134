#include "decorr/whitening/lateral.h"

#include "decorr/linalg/gemm.h"
#include "decorr/linalg/norm.h"
#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace decorr::whitening {
namespace {

bool positive_definite(const at::Tensor& matrix) {
  return std::get<1>(at::linalg_cholesky_ex(matrix.to(at::kDouble))).item<int>() == 0;
}

at::Tensor inverse_or_nan(const at::Tensor& matrix) {
  const auto [result, failed] = at::linalg_inv_ex(matrix.to(at::kDouble));
  const bool usable = failed.item<int>() == 0;
  return (usable ? result : at::full_like(result, std::numeric_limits<double>::quiet_NaN()))
      .contiguous()
      .to(matrix.scalar_type());
}

/// Anti-Hebbian lateral inhibition (Földiák, IJCNN 1989): u settles under
///
///   du/dt = x - μ - L·u,
///
/// and what fires together inhibits each other, L ← L + η(C - diag C), or with unit variance
/// L ← L + η(C - I); C = UᵀU / s. L is symmetric and kept positive definite: a step that would take
/// more than half of L away in any direction is halved until it does not. The settled activity is
/// u = R(x - μ) with R as settled_matrix() gives it. The gain divides L, so that R grows by it. The
/// one rule that solves an n×n system at every update.
class Lateral : public DenseRule {
 public:
  explicit Lateral(const DecorrelatorOptions& options)
      : unit_variance_(options.unit_variance), settling_(options.settling) {}

  std::string state_name() const override { return "lateral"; }
  bool starts_from_identity() const override { return true; }
  bool refreshes() const override { return false; }

  std::vector<DenseStep> step(const std::vector<Observation>& blocks, double eta) const override {
    std::vector<DenseStep> steps;
    steps.reserve(blocks.size());
    for (const Observation& block : blocks) steps.push_back(step_block(block, eta));
    return steps;
  }

 private:
  DenseStep step_block(const Observation& sample, double eta) const {
    if (!(sample.scale > 0)) return {};  // silent: whatever it is, it is not used
    const auto rows = static_cast<double>(sample.u.size(0));
    at::Tensor change = linalg::gemm(sample.u.t(), sample.u).div_(rows * sample.scale);
    if (unit_variance_) {
      change.diagonal().sub_(1);
    } else {
      change.diagonal().zero_();
    }
    DenseStep step;
    // In the end a step of nothing is left: half of L is positive definite.
    while (eta > 0 && !positive_definite(at::add(sample.state * 0.5, change, eta))) {
      eta /= 2;
      step.shortened = true;
    }
    step.eta = eta;
    step.state = at::add(sample.state, change, eta).div_(sample.gain);
    step.matrix = settled_matrix(step.state, settling_);
    step.inverse = settling_ == 0 ? step.state : inverse_or_nan(step.matrix);
    return step;
  }

  bool unit_variance_;
  std::int64_t settling_;
};

}  // namespace

double settling_step(const at::Tensor& lateral) {
  // The norm is a lower estimate by a few percent at most; the dynamics allow for a factor of two.
  return 1 / linalg::spectral_norm(lateral);
}

at::Tensor settled_matrix(const at::Tensor& lateral, std::int64_t steps) {
  if (steps == 0) return inverse_or_nan(lateral);
  const double dt = settling_step(lateral);
  const at::Tensor identity = at::eye(lateral.size(0), lateral.options());
  const at::Tensor decay = at::sub(identity, lateral, dt);
  // S_k = Σ_{j<k} decay^j by doubling: S_2k = S_k + decay^k·S_k and S_{k+1} = I + decay·S_k.
  at::Tensor sum = identity, power = decay;  // k = 1, the leading bit
  int bit = 0;
  while (steps >> (bit + 1) != 0) ++bit;
  while (--bit >= 0) {
    sum = sum + linalg::gemm(power, sum);
    power = linalg::gemm(power, power);
    if ((steps >> bit & 1) == 0) continue;
    sum = identity + linalg::gemm(decay, sum);
    power = linalg::gemm(power, decay);
  }
  return sum.mul_(dt);
}

std::shared_ptr<const Rule> make_lateral(const DecorrelatorOptions& options) {
  return std::make_shared<Lateral>(options);
}

}  // namespace decorr::whitening
