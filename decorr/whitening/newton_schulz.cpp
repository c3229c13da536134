#include "decorr/linalg/newton_schulz.h"

#include "decorr/whitening/covariance_rule.h"
#include "decorr/whitening/rules.h"

#include <limits>

namespace decorr::whitening {
namespace {

/// ZCA whitening by the coupled Newton–Schulz iteration (IterNorm: Huang et al., CVPR 2019), run
/// to convergence. Matrix products alone: on the CPU in float32, faster than an eigendecomposition
/// from widths of some hundreds.
class NewtonSchulz : public CovarianceRule {
 public:
  using CovarianceRule::CovarianceRule;

 private:
  Whitening whiten(const at::Tensor& covariance) const override {
    linalg::Roots roots = linalg::newton_schulz(covariance);
    constexpr double kConverged = 1e-2;
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
