#pragma once

#include <ATen/core/Tensor.h>

namespace decorr::linalg {

/// A^(1/2) and A^(-1/2) of a symmetric positive definite matrix.
struct Roots {
  at::Tensor root;          ///< A^(1/2), [n, n]
  at::Tensor inverse_root;  ///< A^(-1/2), [n, n]
  double residual;          ///< ‖I - A^(-1/2)·A^(1/2)‖ over √n that was reached
  int iterations;
};

/// Both roots of `a` [n, n], symmetric positive definite, by the coupled Newton–Schulz iteration
/// (Higham, Functions of Matrices, 2008, section 6.3; for whitening: Huang et al., CVPR 2019):
///
///   Y₀ = A/c,  Z₀ = I,  T = (3I - ZY)/2,  Y ← YT,  Z ← TZ;   √c·Y → A^(1/2), Z/√c → A^(-1/2),
///
/// with c >= λ_max(A). Matrix products only, 6n³ floating-point operations an iteration; about
/// log(κ(A))/log(9/4) + 5 iterations. Stops when the residual is at the rounding level of the type,
/// when it no longer falls, or after 100 iterations.
Roots newton_schulz(const at::Tensor& a);

}  // namespace decorr::linalg
