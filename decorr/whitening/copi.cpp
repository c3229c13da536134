#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

namespace decorr::whitening {
namespace {

/// Decorrelation of COPI (Ahmad, Schrader, van Gerven, TMLR 2023):
///
///   R ← (I - η(C - diag C))·R,   C = UᵀU / s.
///
/// Off-diagonal covariances go to zero; each feature keeps the variance it has. In factored form
/// D = I + η·diag C and a = η/s.
class Copi : public LowRankRule {
 public:
  LowRankStep step(const Observation& sample, double eta) const override {
    const auto rows = static_cast<double>(sample.u.size(0));
    const at::Tensor variances = sample.u.square().mean(0).div_(sample.scale);
    return {variances.mul_(eta).add_(1), eta / (rows * sample.scale)};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_copi(const DecorrelatorOptions& /*options*/) {
  return std::make_shared<Copi>();
}

}  // namespace decorr::whitening
