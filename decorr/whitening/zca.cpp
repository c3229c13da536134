#include "decorr/whitening/covariance_rule.h"
#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

namespace decorr::whitening {
namespace {

/// ZCA whitening, R = Σ^(-1/2) = E·Λ^(-1/2)·Eᵀ: the whitening closest to the identity (Kessy,
/// Lewin, Strimmer 2018; as a layer: Huang et al., CVPR 2018).
class Zca : public CovarianceRule {
 public:
  using CovarianceRule::CovarianceRule;

 private:
  Whitening whiten(const at::Tensor& covariance) const override {
    // In float64: LAPACK's float32 routine fails for widths of some thousands.
    const auto [values, vectors] = at::linalg_eigh(covariance.to(at::kDouble));
    const at::Tensor roots = values.clamp_min(values.max() * 1e-14).sqrt();
    const at::Tensor transposed = vectors.t();
    return {at::matmul(vectors / roots, transposed).to(covariance.scalar_type()),
            at::matmul(vectors * roots, transposed).to(covariance.scalar_type())};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_zca(const DecorrelatorOptions& options) {
  return std::make_shared<Zca>(options);
}

}  // namespace decorr::whitening
