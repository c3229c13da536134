#include "decorr/nn/centred_convolution.h"

#include "decorr/core/check.h"

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

// Gradients of input and kernel in a convolution without mean; what is not wanted is undefined.
std::pair<at::Tensor, at::Tensor> convolution_gradients(const at::Tensor& error,
                                                        const at::Tensor& input,
                                                        const at::Tensor& kernel,
                                                        const ConvolutionSteps& steps,
                                                        bool of_input, bool of_kernel) {
  auto gradients = at::convolution_backward(
      error, input, kernel, c10::nullopt, steps.stride, steps.padding, steps.dilation,
      /*transposed=*/false, /*output_padding=*/{0, 0}, steps.groups, {of_input, of_kernel, false});
  return {std::get<0>(gradients), std::get<1>(gradients)};
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
    const at::Tensor error = gradients[0].contiguous();

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
  return at::convolution(input, kernel, offset, steps.stride, steps.padding, steps.dilation,
                         /*transposed=*/false, /*output_padding=*/{0, 0}, steps.groups);
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
