#include "decorr/linalg/newton_schulz.h"

#include "decorr/core/check.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/norm.h"

#include <ATen/ATen.h>

#include <cmath>

namespace decorr::linalg {

Roots newton_schulz(const at::Tensor& a) {
  check_argument(a.dim() == 2 && a.size(0) == a.size(1) && a.size(0) > 0,
                 "[newton_schulz] expected a square matrix, got [{}]", fmt::join(a.sizes(), ", "));
  const double n = static_cast<double>(a.size(0));
  const double scale = eigenvalue_bound(a);
  const double enough = a.scalar_type() == at::kDouble ? 1e-14 : 1e-6;
  constexpr int kMaxIterations = 100;

  const at::Tensor identity = at::eye(a.size(0), a.options());
  at::Tensor y = a / scale;
  at::Tensor z = identity.clone();
  double residual = 0;
  int iteration = 0;
  for (;; ++iteration) {
    const at::Tensor defect = identity - gemm(z, y);
    const double next = defect.norm().item<double>() / std::sqrt(n);
    // It falls monotonically until rounding stops it.
    const bool stalled = iteration > 0 && next >= residual && residual < 0.1;
    residual = next;
    if (!(next > enough) || stalled || iteration == kMaxIterations) break;
    const at::Tensor t = defect.mul_(0.5).add_(identity);
    y = gemm(y, t);
    z = gemm(t, z);
  }
  return {y.mul_(std::sqrt(scale)), z.div_(std::sqrt(scale)), residual, iteration};
}

}  // namespace decorr::linalg
