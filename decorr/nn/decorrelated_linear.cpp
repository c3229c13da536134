#include "decorr/nn/decorrelated_linear.h"

#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace decorr::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Products with R, in units of 2n² operations: a row of input or of the weights each, once forward
// and once more for each gradient that is wanted.
bool fold_is_cheaper(const at::Tensor& input, const at::Tensor& weight) {
  const bool differentiated = at::GradMode::is_enabled();
  const std::int64_t input_passes = differentiated && input.requires_grad() ? 2 : 1;
  const std::int64_t weight_passes = differentiated && weight.requires_grad() ? 2 : 1;
  return weight_passes * weight.size(0) < input_passes * input.size(0);
}

// x - μ, [N, n].
at::Tensor centred(const at::Tensor& input, const at::Tensor& mean, bool batch_mean) {
  if (batch_mean) return input - input.mean(0);
  return mean.defined() ? input - mean : input;
}

class DecorrelatedLinear : public torch::autograd::Function<DecorrelatedLinear> {
 public:
  // Optional, because LibTorch takes no undefined tensor for an argument that is not.
  using Optional = c10::optional<at::Tensor>;

  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const Optional& optional_bias,
                            const Optional& optional_matrix, const Optional& optional_mean,
                            const Optional& optional_feedback, bool batch_mean, bool fold) {
    const at::Tensor bias = optional_bias.value_or(at::Tensor());
    const at::Tensor matrix = optional_matrix.value_or(at::Tensor());
    const at::Tensor mean = optional_mean.value_or(at::Tensor());
    const bool needs_input = input.requires_grad();
    const bool folded = fold && matrix.defined() && matrix.dim() == 2;

    at::Tensor read = centred(input, mean, batch_mean);  // what the weights read: x - μ or u
    at::Tensor effective = weight;
    if (folded) {
      effective = linalg::times(weight, matrix);
    } else if (matrix.defined()) {
      read = linalg::times_transposed(read, matrix);
    }
    at::Tensor output = linalg::gemm(read, effective.t());
    if (bias.defined()) output.add_(bias);

    context->save_for_backward({read, weight, matrix, folded ? effective : at::Tensor(),
                                optional_feedback.value_or(at::Tensor())});
    context->saved_data["needs_input"] = needs_input;
    context->saved_data["needs_weight"] = weight.requires_grad();
    context->saved_data["needs_bias"] = bias.defined() && bias.requires_grad();
    context->saved_data["batch_mean"] = batch_mean;
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_argument(!at::GradMode::is_enabled(),
                   "[Linear] a second derivative is not available: call backward() without "
                   "create_graph");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& read = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor& matrix = saved[2];
    const at::Tensor& effective = saved[3];
    const at::Tensor& feedback = saved[4];
    const at::Tensor error = gradients[0].contiguous();

    at::Tensor weight_gradient, bias_gradient, input_gradient;
    if (context->saved_data["needs_weight"].toBool()) {
      weight_gradient = linalg::gemm(error.t(), read);
      if (effective.defined()) weight_gradient = linalg::times_transposed(weight_gradient, matrix);
    }
    if (context->saved_data["needs_bias"].toBool()) bias_gradient = error.sum(0);
    if (context->saved_data["needs_input"].toBool()) {
      at::Tensor back = effective.defined() ? effective : weight;
      if (feedback.defined())
        back = effective.defined() ? linalg::times(feedback, matrix) : feedback;
      input_gradient = linalg::gemm(error, back);
      if (matrix.defined() && !effective.defined())
        input_gradient = linalg::times(input_gradient, matrix);
      if (context->saved_data["batch_mean"].toBool()) input_gradient.sub_(input_gradient.mean(0));
    }
    return {input_gradient, weight_gradient, bias_gradient, at::Tensor(),
            at::Tensor(),   at::Tensor(),    at::Tensor(),  at::Tensor()};
  }
};

}  // namespace

at::Tensor decorrelated_linear(const at::Tensor& input,
                               const DecorrelatedLinearParameters& parameters,
                               const at::Tensor& feedback) {
  const auto optional = [](const at::Tensor& tensor) {
    return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
  };
  return DecorrelatedLinear::apply(input, parameters.weight, optional(parameters.bias),
                                   optional(parameters.matrix), optional(parameters.mean),
                                   optional(feedback), parameters.batch_mean,
                                   fold_is_cheaper(input, parameters.weight));
}

at::Tensor decorrelated_linear_gradient(const at::Tensor& input, const at::Tensor& error,
                                        const DecorrelatedLinearParameters& parameters) {
  const at::NoGradGuard no_grad;
  const at::Tensor read = centred(input, parameters.mean, parameters.batch_mean);
  const at::Tensor& matrix = parameters.matrix;
  if (!matrix.defined()) return linalg::gemm(error.t(), read);
  if (error.size(1) < input.size(0))
    return linalg::times_transposed(linalg::gemm(error.t(), read), matrix);
  return linalg::gemm(error.t(), linalg::times_transposed(read, matrix));
}

}  // namespace decorr::nn
