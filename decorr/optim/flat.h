#pragma once

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace decorr::optim {

/// Whether the elements of `tensor` lie on the CPU in one piece, in row-major order.
inline bool is_flat(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.is_contiguous();
}

/// Runs an in-place loop over the flat memory of `parameter` on all threads.
///
/// `loop(zero, begin, end)` handles the elements begin … end - 1; the type of `zero` is the type of
/// the elements, float or double. Tells autograd that the parameter has changed, so that a graph
/// that still needs the old value is an error and not a wrong gradient.
template <typename Loop>
void for_flat(const at::Tensor& parameter, const Loop& loop) {
  constexpr std::int64_t kGrain = 1 << 15;
  AT_DISPATCH_FLOATING_TYPES(parameter.scalar_type(), "decorr::optim", [&] {
    at::parallel_for(0, parameter.numel(), kGrain,
                     [&](std::int64_t begin, std::int64_t end) { loop(scalar_t{0}, begin, end); });
  });
  parameter.unsafeGetTensorImpl()->bump_version();
}

}  // namespace decorr::optim
