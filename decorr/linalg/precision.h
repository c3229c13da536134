#pragma once

#include <ATen/core/Tensor.h>

namespace decorr::linalg {

/// Whether this processor multiplies bfloat16 numbers itself (AVX-512 with BF16, or AMX). Without
/// it oneDNN emulates them, slower than float32.
bool has_bfloat16();

/// Whether the layers round the operands of their float32 products to bfloat16 (sums stay float32):
/// LibTorch's own process-wide setting, `at::globalContext().setFloat32MatmulPrecision("medium")`,
/// on a processor that has_bfloat16(). Weights, R, means, their updates and the optimizer stay
/// float32 in any case.
bool bfloat16_products();

/// The setting until the end of the scope.
class ProductPrecision {
 public:
  /// bfloat16 products, or none.
  explicit ProductPrecision(bool bfloat16);
  ~ProductPrecision();
  ProductPrecision(const ProductPrecision&) = delete;
  ProductPrecision& operator=(const ProductPrecision&) = delete;

 private:
  int before_;
};

/// `x` as a product reads it: rounded to bfloat16 if `bfloat16` and it is float32 on a CPU, else
/// itself. Differentiable.
at::Tensor operand(const at::Tensor& x, bool bfloat16);

}  // namespace decorr::linalg
