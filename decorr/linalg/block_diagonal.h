#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Block-diagonal n×n matrices.
///
/// Such a matrix is kept as [n, b]: row i holds the entries of its own block. Blocks have b rows
/// and columns, the last one fewer if b does not divide n; the unused ends of its rows are zero. b
/// = n is an ordinary square matrix. A tensor [n] is a diagonal matrix.
namespace decorr::linalg {

/// The n×n identity with blocks of `block` <= n.
at::Tensor block_identity(std::int64_t n, std::int64_t block);

/// Number of blocks of `matrix` [n, b].
std::int64_t block_count(const at::Tensor& matrix);

/// Block number `index` of `matrix` [n, b]: a square view that shares its memory.
at::Tensor block(const at::Tensor& matrix, std::int64_t index);

/// X·A for rows `x` [N, n] and the matrix A in `matrix` ([n, b], or [n] for a diagonal one). Not
/// differentiable. Costs 2Nnb floating-point operations. With `bfloat16` both are rounded to it as
/// operand() does (not a diagonal matrix, which is no matrix product).
at::Tensor times(const at::Tensor& x, const at::Tensor& matrix, bool bfloat16 = false);

/// X·Aᵀ, as times().
at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& matrix, bool bfloat16 = false);

/// The matrix in full, [n, n], from any of the three forms.
at::Tensor dense(const at::Tensor& matrix);

}  // namespace decorr::linalg
