#include "decorr/whitening/covariance_rule.h"
#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

#include <limits>

namespace decorr::whitening {
namespace {

/// Cholesky whitening, R = L⁻¹ with Σ = L·Lᵀ (Kessy, Lewin, Strimmer 2018): feature i of u is what
/// features 0 … i-1 do not predict of feature i. The cheapest exact whitening.
class Cholesky : public CovarianceRule {
 public:
  using CovarianceRule::CovarianceRule;

 private:
  Whitening whiten(const at::Tensor& covariance) const override {
    const auto [factor, failed] = at::linalg_cholesky_ex(covariance.to(at::kDouble));
    at::Tensor inverse = at::linalg_solve_triangular(
        factor, at::eye(factor.size(0), factor.options()), /*upper=*/false);
    // Not positive definite: the update is skipped for what it is not.
    if (failed.item<int>() != 0) inverse.fill_(std::numeric_limits<double>::quiet_NaN());
    return {inverse.contiguous().to(covariance.scalar_type()),
            factor.contiguous().to(covariance.scalar_type())};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_cholesky(const DecorrelatorOptions& options) {
  return std::make_shared<Cholesky>(options);
}

}  // namespace decorr::whitening
