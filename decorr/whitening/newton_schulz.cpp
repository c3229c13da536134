#include "decorr/linalg/newton_schulz.h"

#include "decorr/whitening/covariance_rule.h"
#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

#include <limits>

namespace decorr::whitening {
namespace {

/// ZCA whitening by the coupled Newton–Schulz iteration (IterNorm: Huang et al., CVPR 2019), run
/// to convergence, in float64 where float32 does not converge. Matrix products alone: on the CPU in
/// float32, faster than an eigendecomposition from widths of some hundreds.
class NewtonSchulz : public CovarianceRule {
 public:
  using CovarianceRule::CovarianceRule;

 private:
  Whitening whiten(const at::Tensor& covariance) const override {
    constexpr double kConverged = 1e-3;
    linalg::Roots roots = linalg::newton_schulz(covariance);
    // What float32 cannot take the roots of, float64 mostly can.
    if (!(roots.residual < kConverged) && covariance.scalar_type() == at::kFloat) {
      roots = linalg::newton_schulz(covariance.to(at::kDouble));
      roots.inverse_root = roots.inverse_root.to(at::kFloat);
      roots.root = roots.root.to(at::kFloat);
    }
    // What has not converged is no root: the update is skipped.
    if (!(roots.residual < kConverged))
      roots.inverse_root.fill_(std::numeric_limits<double>::quiet_NaN());
    return {roots.inverse_root, roots.root};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_newton_schulz(const DecorrelatorOptions& options) {
  return std::make_shared<NewtonSchulz>(options);
}

}  // namespace decorr::whitening
