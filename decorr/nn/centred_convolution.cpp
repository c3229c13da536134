#include "decorr/nn/centred_convolution.h"

#include "decorr/core/check.h"
#include "decorr/linalg/precision.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

namespace decorr::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Optional = c10::optional<at::Tensor>;

// ΣK·μ over the places of the kernel and the channels of each group: [m].
at::Tensor response(const at::Tensor& kernel, const at::Tensor& mean, std::int64_t groups) {
  const std::int64_t channels = kernel.size(1);
  const at::Tensor sums = kernel.flatten(2).sum(2).view({groups, -1, channels});
  return at::bmm(sums, mean.view({groups, channels, 1})).view({-1});
}

// A convolution without mean, with operands as linalg::bfloat16_products() says; differentiable.
at::Tensor convolution(const at::Tensor& input, const at::Tensor& kernel, const at::Tensor& bias,
                       const ConvolutionSteps& steps) {
  const auto convolve = [&](const at::Tensor& x, const at::Tensor& k, const at::Tensor& b) {
    return at::convolution(x, k, b, steps.stride, steps.padding, steps.dilation,
                           /*transposed=*/false, /*output_padding=*/{0, 0}, steps.groups);
  };
  if (!linalg::bfloat16_products() || !input.device().is_cpu() || input.scalar_type() != at::kFloat)
    return convolve(input, kernel, bias);
  const at::Tensor output =
      convolve(linalg::operand(input, true), linalg::operand(kernel, true), {}).to(at::kFloat);
  return bias.defined() ? output + bias.view({1, -1, 1, 1}) : output;
}

// Gradients of input and kernel in that convolution; what is not wanted is undefined.
std::pair<at::Tensor, at::Tensor> convolution_gradients(const at::Tensor& error,
                                                        const at::Tensor& input,
                                                        const at::Tensor& kernel,
                                                        const ConvolutionSteps& steps,
                                                        bool of_input, bool of_kernel) {
  const bool round = linalg::bfloat16_products();
  auto gradients = at::convolution_backward(
      linalg::operand(error, round), linalg::operand(input, round), linalg::operand(kernel, round),
      c10::nullopt, steps.stride, steps.padding, steps.dilation,
      /*transposed=*/false, /*output_padding=*/{0, 0}, steps.groups, {of_input, of_kernel, false});
  const auto restored = [&](const at::Tensor& gradient) {
    return gradient.defined() ? gradient.to(error.scalar_type()) : gradient;
  };
  return {restored(std::get<0>(gradients)), restored(std::get<1>(gradients))};
}

class FeedbackConvolution : public torch::autograd::Function<FeedbackConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const Optional& optional_mean, const at::Tensor& kernel,
                            const Optional& optional_bias, const at::Tensor& feedback,
                            at::IntArrayRef stride, at::IntArrayRef padding,
                            at::IntArrayRef dilation, std::int64_t groups) {
    const ConvolutionSteps steps{
        {stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]}, groups};
    const at::Tensor mean = optional_mean.value_or(at::Tensor());
    const at::Tensor bias = optional_bias.value_or(at::Tensor());
    context->save_for_backward({input, mean, kernel, feedback});
    context->saved_data["stride"] = stride.vec();
    context->saved_data["padding"] = padding.vec();
    context->saved_data["dilation"] = dilation.vec();
    context->saved_data["groups"] = groups;
    context->saved_data["of_input"] = input.requires_grad();
    context->saved_data["of_mean"] = mean.defined() && mean.requires_grad();
    context->saved_data["of_kernel"] = kernel.requires_grad();
    context->saved_data["of_bias"] = bias.defined() && bias.requires_grad();
    return centred_convolution(input, mean, kernel, bias, steps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_argument(!at::GradMode::is_enabled(),
                   "[Conv] a second derivative is not available: call backward() without "
                   "create_graph");
    auto& data = context->saved_data;
    const auto pair = [&](const char* name) {
      const auto values = data[name].toIntVector();
      return std::array<std::int64_t, 2>{values[0], values[1]};
    };
    const ConvolutionSteps steps{pair("stride"), pair("padding"), pair("dilation"),
                                 data["groups"].toInt()};
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &mean = saved[1], &kernel = saved[2], &feedback = saved[3];
    const at::Tensor& error = gradients[0];

    at::Tensor of_input, of_mean, of_kernel, of_bias;
    if (data["of_input"].toBool())
      of_input = convolution_gradients(error, input, feedback, steps, true, false).first;
    if (data["of_mean"].toBool()) {
      const at::Tensor sums = feedback.flatten(2).sum(2).view({steps.groups, -1, kernel.size(1)});
      const at::Tensor errors = error.sum({0, 2, 3}).view({steps.groups, 1, -1});
      of_mean = -at::bmm(errors, sums).view({-1});
    }
    if (data["of_kernel"].toBool()) of_kernel = kernel_gradient(input, mean, kernel, error, steps);
    if (data["of_bias"].toBool()) of_bias = error.sum({0, 2, 3});
    return {of_input,     of_mean,      of_kernel,    of_bias,     at::Tensor(),
            at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor centred_convolution(const at::Tensor& input, const at::Tensor& mean,
                               const at::Tensor& kernel, const at::Tensor& bias,
                               const ConvolutionSteps& steps) {
  const at::Tensor offset = mean.defined() ? bias - response(kernel, mean, steps.groups) : bias;
  return convolution(input, kernel, offset, steps);
}

at::Tensor feedback_convolution(const at::Tensor& input, const at::Tensor& mean,
                                const at::Tensor& kernel, const at::Tensor& bias,
                                const at::Tensor& feedback, const ConvolutionSteps& steps) {
  const auto optional = [](const at::Tensor& tensor) {
    return tensor.defined() ? Optional(tensor) : c10::nullopt;
  };
  return FeedbackConvolution::apply(input, optional(mean), kernel, optional(bias), feedback,
                                    at::IntArrayRef(steps.stride), at::IntArrayRef(steps.padding),
                                    at::IntArrayRef(steps.dilation), steps.groups);
}

at::Tensor kernel_gradient(const at::Tensor& input, const at::Tensor& mean,
                           const at::Tensor& kernel, const at::Tensor& error,
                           const ConvolutionSteps& steps) {
  const at::NoGradGuard no_grad;
  at::Tensor gradient = convolution_gradients(error, input, kernel, steps, false, true).second;
  if (mean.defined()) {
    const at::Tensor errors = error.sum({0, 2, 3}).view({steps.groups, -1, 1});
    const at::Tensor means = mean.view({steps.groups, 1, -1});
    gradient = gradient - at::bmm(errors, means).view({kernel.size(0), -1, 1, 1});
  }
  return gradient;
}

}  // namespace decorr::nn
