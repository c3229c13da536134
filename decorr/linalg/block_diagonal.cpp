#include "decorr/linalg/block_diagonal.h"

#include "decorr/core/check.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/precision.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace decorr::linalg {
namespace {

at::Tensor multiply(const at::Tensor& x, const at::Tensor& matrix, bool transposed, bool bfloat16) {
  check_argument(x.dim() == 2 && x.size(1) == matrix.size(0),
                 "[block_diagonal] expected rows [N, {}], got [{}]", matrix.size(0),
                 fmt::join(x.sizes(), ", "));
  if (matrix.dim() == 1) return x * matrix;
  const at::Tensor rows = operand(x, bfloat16), blocks = operand(matrix, bfloat16);
  if (matrix.size(0) == matrix.size(1)) return gemm(rows, transposed ? blocks.t() : blocks);
  at::Tensor result = at::empty({x.size(0), x.size(1)}, x.options());
  for (std::int64_t i = 0; i < block_count(matrix); ++i) {
    const at::Tensor part = block(blocks, i);
    const std::int64_t begin = i * matrix.size(1);
    at::Tensor columns = result.narrow(1, begin, part.size(0));
    gemm_(columns, rows.narrow(1, begin, part.size(0)), transposed ? part.t() : part);
  }
  return result;
}

}  // namespace

at::Tensor block_identity(std::int64_t n, std::int64_t block) {
  const at::Tensor rows = at::arange(n, at::kLong);
  at::Tensor matrix = at::zeros({n, block});
  return matrix.scatter_(1, rows.remainder(block).unsqueeze(1), 1);
}

std::int64_t block_count(const at::Tensor& matrix) {
  return (matrix.size(0) + matrix.size(1) - 1) / matrix.size(1);
}

at::Tensor block(const at::Tensor& matrix, std::int64_t index) {
  const std::int64_t begin = index * matrix.size(1);
  const std::int64_t size = std::min(matrix.size(1), matrix.size(0) - begin);
  return matrix.narrow(0, begin, size).narrow(1, 0, size);
}

at::Tensor times(const at::Tensor& x, const at::Tensor& matrix, bool bfloat16) {
  return multiply(x, matrix, false, bfloat16);
}

at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& matrix, bool bfloat16) {
  return multiply(x, matrix, true, bfloat16);
}

at::Tensor dense(const at::Tensor& matrix) {
  if (matrix.dim() == 1) return at::diag(matrix);
  if (matrix.size(0) == matrix.size(1)) return matrix;
  std::vector<at::Tensor> blocks;
  for (std::int64_t i = 0; i < block_count(matrix); ++i) blocks.push_back(block(matrix, i));
  return at::block_diag(blocks);
}

}  // namespace decorr::linalg
