#include "decorr/whitening/covariance_rule.h"
#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

namespace decorr::whitening {
namespace {

/// PCA whitening, R = Λ^(-1/2)·Eᵀ: the features of u are the principal components, the largest
/// first (Kessy, Lewin, Strimmer 2018). Signs are chosen so that the largest entry of each row is
/// positive, or a component would turn around from one refresh to the next.
class Pca : public CovarianceRule {
 public:
  using CovarianceRule::CovarianceRule;

 private:
  Whitening whiten(const at::Tensor& covariance) const override {
    const auto [values, vectors] = at::linalg_eigh(covariance.to(at::kDouble));
    const at::Tensor roots = values.clamp_min(values.max() * 1e-14).sqrt().flip(0);
    at::Tensor components = vectors.t().flip(0).contiguous();
    const at::Tensor largest = components.abs().argmax(1, /*keepdim=*/true);
    components.mul_(components.gather(1, largest).sign());
    return {(components / roots.unsqueeze(1)).to(covariance.scalar_type()),
            (components.t() * roots).contiguous().to(covariance.scalar_type())};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_pca(const DecorrelatorOptions& options) {
  return std::make_shared<Pca>(options);
}

}  // namespace decorr::whitening
