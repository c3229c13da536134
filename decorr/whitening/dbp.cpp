#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

namespace decorr::whitening {
namespace {

/// Decorrelation and scaling of DBP (Dalm, Offergeld, Ahmad, van Gerven 2024, arXiv 2405.02385):
///
///   R ← R - η[(1-κ)(C - diag C) + κ·diag(C - I)]·R,   C = UᵀU / s.
///
/// κ weighs unit variance against zero covariance; the diagonal scales rows of R. In factored form
/// D = I + ηκ + η(1-2κ)·diag C and a = η(1-κ)/s.
class Dbp : public LowRankRule {
 public:
  explicit Dbp(double kappa) : kappa_(kappa) {}

  LowRankStep step(const Observation& sample, double eta) const override {
    const auto rows = static_cast<double>(sample.u.size(0));
    const at::Tensor variances = sample.u.square().mean(0).div_(sample.scale);
    return {variances.mul_(eta * (1 - 2 * kappa_)).add_(1 + eta * kappa_),
            eta * (1 - kappa_) / (rows * sample.scale)};
  }

 private:
  double kappa_;
};

}  // namespace

std::shared_ptr<const Rule> make_dbp(const DecorrelatorOptions& options) {
  return std::make_shared<Dbp>(options.kappa);
}

}  // namespace decorr::whitening
