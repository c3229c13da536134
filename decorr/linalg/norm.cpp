#include "decorr/linalg/norm.h"

#include "decorr/core/check.h"
#include "decorr/core/random.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace decorr::linalg {

double spectral_norm(const at::Tensor& matrix, double tolerance, int max_iterations) {
  check_argument(matrix.dim() == 2, "[spectral_norm] expected a matrix, got {} dimensions",
                 matrix.dim());
  if (matrix.numel() == 0) return 0;
  const at::Tensor a = matrix.detach();
  at::Tensor vector =
      RandomStream(0, "spectral_norm").normal({a.size(1), 1}, a.options().requires_grad(false));
  double estimate = 0;
  for (int i = 0; i < max_iterations; ++i) {
    const double length = vector.norm().item<double>();
    if (length == 0) return 0;  // the fixed random start is orthogonal to no non-zero matrix's rows
    if (!std::isfinite(length)) return std::nan("");
    const at::Tensor image = gemm(a, vector.div_(length));
    const double next = image.norm().item<double>();
    if (std::abs(next - estimate) <= tolerance * next) return next;
    estimate = next;
    vector = gemm(a.t(), image);
  }
  return estimate;
}

double eigenvalue_bound(const at::Tensor& matrix) {
  const at::Tensor exact = matrix.to(at::kDouble);
  return std::min(exact.norm().item<double>(), exact.abs().sum(1).max().item<double>());
}

}  // namespace decorr::linalg
