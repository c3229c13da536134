#include "decorr/optim/clip.h"

#include "decorr/core/check.h"
#include "decorr/optim/flat.h"
#include "decorr/optim/kernels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace decorr::optim {
namespace {

// Partial sums over blocks of a fixed size, added up in order.
double sum_of_squares(const at::Tensor& gradient) {
  if (!gradient.device().is_cpu()) return gradient.to(at::kDouble).square().sum().item<double>();
  const at::Tensor g = gradient.contiguous();
  constexpr std::int64_t kBlock = 1 << 14;
  const std::int64_t count = g.numel();
  std::vector<double> partial(static_cast<std::size_t>((count + kBlock - 1) / kBlock));
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "clip_gradient_norm", [&] {
    const scalar_t* data = g.data_ptr<scalar_t>();
    at::parallel_for(0, static_cast<std::int64_t>(partial.size()), 4,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t block = begin; block < end; ++block) {
                         const std::int64_t first = block * kBlock;
                         partial[static_cast<std::size_t>(block)] =
                             kernels::sum_of_squares(data + first, std::min(kBlock, count - first));
                       }
                     });
  });
  double sum = 0;
  for (const double value : partial) sum += value;
  return sum;
}

}  // namespace

double clip_gradient_norm(const NamedParameters& parameters, double max_norm) {
  check_argument(max_norm > 0, "[clip_gradient_norm] max_norm must be > 0, got {}", max_norm);
  std::vector<at::Tensor> gradients;
  for (const auto& [name, parameter] : parameters) {
    check_argument(parameter.defined(), "[clip_gradient_norm] parameter {} is undefined", name);
    const at::Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    check_argument(
        gradient.layout() == at::kStrided &&
            (gradient.scalar_type() == at::kFloat || gradient.scalar_type() == at::kDouble),
        "[clip_gradient_norm] gradient of {} must be a dense float32 or float64 tensor", name);
    gradients.push_back(gradient);
  }
  check_argument(!gradients.empty(),
                 "[clip_gradient_norm] none of the {} parameters has a gradient: run backward() "
                 "first",
                 parameters.size());
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (const at::Tensor& gradient : gradients) sum += sum_of_squares(gradient);
  const double norm = std::sqrt(sum);
  if (std::isfinite(norm) && norm > max_norm)
    for (const at::Tensor& gradient : gradients) gradient.mul_(max_norm / norm);
  return norm;
}

}  // namespace decorr::optim
