#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace decorr::linalg {

/// Computes out ← alpha·A·B + beta·out in place and returns `out`.
///
/// `a` [m, k] and `b` [k, n] are any strided views of one type and device; pass `x.t()` for a
/// transposed operand, nothing is copied as long as one of its strides is 1. `out` [m, n] is
/// row-major, or columns of a wider row-major matrix. float32 on the CPU runs on oneDNN, everything
/// else on ATen. Operands in bfloat16 give a float32 `out`, summed in float32, on the CPU with
/// alpha = 1 and beta = 0 only. With beta = 0 the old contents of `out` are not read. Throws
/// `std::invalid_argument` on shapes, types or devices that do not fit. Not differentiable: meant
/// for use inside autograd functions and updates.
at::Tensor& gemm_(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double alpha = 1,
                  double beta = 0);

/// Returns A·B, [m, n] row-major, float32 for bfloat16 operands; operands as for gemm_().
at::Tensor gemm(const at::Tensor& a, const at::Tensor& b);

/// Returns the symmetric product X·Xᵀ, [s, s], of `x` [s, n].
at::Tensor gram(const at::Tensor& x);

/// Rank-k update in one pass over the matrix: R ← scale·R + alpha·Uᵀ·V, for `r` [n, m] row-major,
/// `u` [k, n] and `v` [k, m]. Costs 2knm floating-point operations.
void rank_k_update_(at::Tensor& r, const at::Tensor& u, const at::Tensor& v, double alpha,
                    double scale);

/// Counts the work of the matrix products made anywhere in the process since it was built.
class FlopCounter {
 public:
  FlopCounter();
  /// Floating-point operations, 2mnk for each product.
  std::uint64_t count() const;
  /// Bytes that the products have to move: each operand once, the result once, twice if it is read.
  std::uint64_t bytes() const;

 private:
  std::uint64_t start_, start_bytes_;
};

}  // namespace decorr::linalg
