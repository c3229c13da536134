#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

// The convolution behind Conv1d and Conv2d, without the decorrelation. Internal to nn/: not
// installed.
namespace decorr::nn {

/// How the kernel moves over an image; heights first, then widths.
struct ConvolutionSteps {
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};  ///< zeros on either side
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;
};

/// y = conv(x, K) + b - ΣK·μ, which is conv(x - μ, K) + b with the padding holding 0 before μ is
/// taken away, its operands rounded to bfloat16 if linalg::bfloat16_products(): `input` [N, C, H,
/// W], `mean` [C] (undefined for none), `kernel` [m, C/groups, k_h, k_w], `bias` [m] (undefined for
/// none, unless there is a mean). Differentiable in all of them.
at::Tensor centred_convolution(const at::Tensor& input, const at::Tensor& mean,
                               const at::Tensor& kernel, const at::Tensor& bias,
                               const ConvolutionSteps& steps);

/// The same, but that the error goes back to `input` and `mean` through `feedback`, in the shape of
/// `kernel`, in place of `kernel`. Differentiable once.
at::Tensor feedback_convolution(const at::Tensor& input, const at::Tensor& mean,
                                const at::Tensor& kernel, const at::Tensor& bias,
                                const at::Tensor& feedback, const ConvolutionSteps& steps);

/// The gradient of `kernel` in centred_convolution() for the error `error` [N, m, H', W'] of its
/// output; only the shape of `kernel` matters. Uses no autograd.
at::Tensor kernel_gradient(const at::Tensor& input, const at::Tensor& mean,
                           const at::Tensor& kernel, const at::Tensor& error,
                           const ConvolutionSteps& steps);

}  // namespace decorr::nn
