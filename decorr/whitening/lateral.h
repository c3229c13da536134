#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace decorr::whitening {

/// Step size Δt of the settling dynamics for the lateral weights L [n, n], symmetric and positive
/// definite: 1/λ_max(L), half of the largest that converges. The explicit steps
/// u ← u + Δt·(x - μ - L·u) converge if and only if Δt < 2/λ_max(L), by a factor of 1 - Δt·λ_min(L)
/// a step.
double settling_step(const at::Tensor& lateral);

/// The matrix R [n, n] with u = R(x - μ) after `steps` explicit steps from u = 0; 0 steps stands
/// for the fixed point, L·u = x - μ:
///
///   R = Δt·Σ_{j < steps} (I - Δt·L)^j,   R = L⁻¹ for 0 steps.
///
/// Computed by repeated doubling, with 4·log₂(steps) products of n×n matrices at most.
at::Tensor settled_matrix(const at::Tensor& lateral, std::int64_t steps);

}  // namespace decorr::whitening
