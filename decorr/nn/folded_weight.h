#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace decorr::nn {

/// The weight of a convolution, [m, c, k..], as rows that read u: [m, c·k], or with `channels_only`
/// [m, k, c]. A view of the same memory; `weight` must be contiguous.
at::Tensor readout_view(const at::Tensor& weight, bool channels_only);

/// W' = W·R, the kernel [m, c, k..] that does to x - μ what `weight` does to u = R(x - μ).
///
/// `matrix` holds R of every group, one below the other: for `groups` groups [groups·w, b] as in
/// linalg/block_diagonal.h or [groups·w] for a diagonal one, where w = c·k, or w = c if
/// `channels_only` decorrelates channels and leaves places alone. Differentiable once in `weight`:
/// ∇W = ∇W'·Rᵀ. Costs 2·m·c·k·b floating-point operations. With `bfloat16` the operands of the
/// products with R are rounded to it.
at::Tensor folded_weight(const at::Tensor& weight, const at::Tensor& matrix, std::int64_t groups,
                         bool channels_only, bool bfloat16 = false);

/// What a gradient [m, c, k..] of W' = W·R is as a gradient of W: ∇W = ∇W'·Rᵀ, arguments as for
/// folded_weight(). Not differentiable.
at::Tensor unfolded_gradient(const at::Tensor& gradient, const at::Tensor& matrix,
                             std::int64_t groups, bool channels_only, bool bfloat16 = false);

}  // namespace decorr::nn
