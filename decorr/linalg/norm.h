#pragma once

#include <ATen/core/Tensor.h>

namespace decorr::linalg {

/// Spectral norm ‖A‖₂ of `matrix` [m, n] by power iteration on AᵀA, from a fixed start.
///
/// Stops when the estimate moves by less than `tolerance` relative, or after `max_iterations`; each
/// iteration costs 4mn floating-point operations. The estimate never exceeds ‖A‖₂ beyond rounding.
/// Returns NaN if the matrix has a non-finite entry, 0 for an empty one.
double spectral_norm(const at::Tensor& matrix, double tolerance = 1e-4, int max_iterations = 200);

/// An upper bound of the largest eigenvalue of a symmetric positive semi-definite `matrix` [n, n],
/// that cannot be below it: the smaller of the Frobenius norm and the largest absolute row sum.
double eigenvalue_bound(const at::Tensor& matrix);

}  // namespace decorr::linalg
