#pragma once

#include "decorr/whitening/rule.h"

#include <ATen/core/Tensor.h>

namespace decorr::whitening {

/// The change R ← g·(D - a·UᵀU)·R together with what undoes it on the other side,
/// M = R_old·R_new⁻¹, so that W·M behind R_new computes what W computed behind R_old.
///
/// By the Woodbury identity
///   M = g⁻¹·(D⁻¹ + D⁻¹Uᵀ·(I/a - U·D⁻¹·Uᵀ)⁻¹·U·D⁻¹),
/// an s×s system: changing R costs 4sn² floating-point operations, W [m, n] costs 4smn.
class LowRankUpdate {
 public:
  /// Computes the factors for R = `matrix` ([n, n], or [n] if the rule is diagonal) and the sample
  /// `u` [s, n]. Changes nothing. `with_inverse` prepares M too.
  LowRankUpdate(at::Tensor matrix, at::Tensor u, LowRankStep step, double gain, bool with_inverse);

  /// Whether all factors are finite; if not, the update must not be applied.
  bool finite() const;

  /// Changes R in place.
  void apply_to_matrix() const;

  /// The factor W·D⁻¹·Uᵀ [m, s] that apply_to_readout() needs for `weight` [m, n]; undefined if a =
  /// 0.
  at::Tensor project(const at::Tensor& weight) const;

  /// W ← W·M in place; `projection` is project(weight).
  void apply_to_readout(at::Tensor weight, const at::Tensor& projection) const;

 private:
  at::Tensor matrix_;
  at::Tensor u_;
  LowRankStep step_;
  double gain_;
  at::Tensor image_;        // U·R, [s, n]
  at::Tensor scaled_u_;     // U·D⁻¹, [s, n]
  at::Tensor inverse_row_;  // (I/a - U·D⁻¹·Uᵀ)⁻¹·U·D⁻¹, [s, n]
};

/// An upper bound of the largest eigenvalue of a symmetric positive semi-definite `gram` matrix,
/// that cannot be below it: the smaller of the Frobenius norm and the largest absolute row sum.
double eigenvalue_bound(const at::Tensor& gram);

/// Whether every entry of every defined tensor is finite, and far enough from overflow that
/// products of two of them are.
bool all_finite(at::ArrayRef<at::Tensor> tensors);

}  // namespace decorr::whitening
