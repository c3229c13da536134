#pragma once

#include "decorr/whitening/rule.h"

#include <string>
#include <vector>

namespace decorr::whitening {

/// A whitening matrix of a covariance and its inverse.
struct Whitening {
  at::Tensor matrix;   ///< R with R·Σ·Rᵀ = I, [n, n]
  at::Tensor inverse;  ///< R⁻¹, [n, n]
};

/// Base of the rules that whiten a running covariance exactly: `zca`, `pca`, `cholesky`,
/// `newton-schulz`.
///
///   Σ ← (1-w)Σ + w·XᵀX/s at every update,   w = max(1/(t+1), covariance_momentum);
///   every refresh_every updates  R ← c·(Σ + (λ + ε)v̄I)^(-1/2)  in the form of the derived rule,
///
/// with v̄ the mean variance over the layer. c is 1 for unit variance, or (gain `energy`) keeps the
/// block's energy: c² is the mean variance of the damped block. ε, 10⁻⁶ in float32 and 10⁻¹² in
/// float64, keeps directions without any variance finite. A refresh costs n³.
class CovarianceRule : public DenseRule {
 public:
  explicit CovarianceRule(const DecorrelatorOptions& options)
      : damping_(options.damping),
        momentum_(options.covariance_momentum),
        refresh_every_(options.refresh_every),
        keep_energy_(options.gain == "energy") {}

  bool reads_output() const override { return false; }
  std::string state_name() const override { return "covariance"; }
  bool starts_from_identity() const override { return false; }
  bool refreshes() const override { return true; }
  std::vector<DenseStep> step(const std::vector<Observation>& blocks, double eta) const override;

 private:
  /// Whitens `covariance` [n, n], which is symmetric and positive definite.
  virtual Whitening whiten(const at::Tensor& covariance) const = 0;

  double damping_, momentum_;
  std::int64_t refresh_every_;
  bool keep_energy_;
};

}  // namespace decorr::whitening
