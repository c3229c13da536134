#include "decorr/nn/decorrelated_linear.h"

#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/precision.h"

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

bool rounds_matrix(const DecorrelatedLinearParameters& parameters) {
  return linalg::bfloat16_products() || parameters.bfloat16;
}

class DecorrelatedLinear : public torch::autograd::Function<DecorrelatedLinear> {
 public:
  // Optional, because LibTorch takes no undefined tensor for an argument that is not.
  using Optional = c10::optional<at::Tensor>;

  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const Optional& optional_bias,
                            const Optional& optional_matrix, const Optional& optional_mean,
                            const Optional& optional_feedback, bool batch_mean, bool fold,
                            bool round_decorrelation) {
    const at::Tensor bias = optional_bias.value_or(at::Tensor());
    at::Tensor matrix = optional_matrix.value_or(at::Tensor());
    const at::Tensor mean = optional_mean.value_or(at::Tensor());
    const bool folded = fold && matrix.defined() && matrix.dim() == 2;
    const bool round = linalg::bfloat16_products();
    const bool round_matrix = round || round_decorrelation;
    // Rounded once, for the backward pass too.
    if (matrix.defined() && matrix.dim() == 2) matrix = linalg::operand(matrix, round_matrix);

    at::Tensor read = centred(input, mean, batch_mean);  // what the weights read: x - μ or u
    at::Tensor effective = weight;
    if (folded) {
      effective = linalg::times(weight, matrix, round_matrix);
    } else if (matrix.defined()) {
      read = linalg::times_transposed(read, matrix, round_matrix);
    }
    read = linalg::operand(read, round);
    effective = linalg::operand(effective, round);
    at::Tensor output = linalg::gemm(read, effective.t());
    if (bias.defined()) output.add_(bias);

    context->save_for_backward({read, effective, matrix, optional_feedback.value_or(at::Tensor())});
    context->saved_data["folded"] = folded;
    context->saved_data["round"] = round;
    context->saved_data["round_matrix"] = round_matrix;
    context->saved_data["needs_input"] = input.requires_grad();
    context->saved_data["needs_weight"] = weight.requires_grad();
    context->saved_data["needs_bias"] = bias.defined() && bias.requires_grad();
    context->saved_data["batch_mean"] = batch_mean;
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_argument(!at::GradMode::is_enabled(),
                   "[Linear] a second derivative is not available: call backward() without "
                   "create_graph");
    auto& data = context->saved_data;
    const bool folded = data["folded"].toBool(), round_matrix = data["round_matrix"].toBool();
    const bool round = data["round"].toBool();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &read = saved[0], &effective = saved[1], &matrix = saved[2];
    const at::Tensor error = gradients[0].contiguous();
    const at::Tensor factor = linalg::operand(error, round);

    at::Tensor weight_gradient, bias_gradient, input_gradient;
    if (data["needs_weight"].toBool()) {
      weight_gradient = linalg::gemm(factor.t(), read);
      if (folded) weight_gradient = linalg::times_transposed(weight_gradient, matrix, round_matrix);
    }
    if (data["needs_bias"].toBool()) bias_gradient = error.sum(0);
    if (data["needs_input"].toBool()) {
      at::Tensor back = effective;
      if (saved[3].defined())
        back = linalg::operand(folded ? linalg::times(saved[3], matrix, round_matrix) : saved[3],
                               round);
      input_gradient = linalg::gemm(factor, back);
      if (matrix.defined() && !folded)
        input_gradient = linalg::times(input_gradient, matrix, round_matrix);
      if (data["batch_mean"].toBool()) input_gradient.sub_(input_gradient.mean(0));
    }
    return {input_gradient, weight_gradient, bias_gradient, at::Tensor(), at::Tensor(),
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
                                   fold_is_cheaper(input, parameters.weight), parameters.bfloat16);
}

ReadRows read_rows(const at::Tensor& input, const DecorrelatedLinearParameters& parameters) {
  const at::NoGradGuard no_grad;
  const at::Tensor& matrix = parameters.matrix;
  at::Tensor rows = centred(input, parameters.mean, parameters.batch_mean);
  if (!matrix.defined()) return {rows, false};
  const bool folded = matrix.dim() == 2 && fold_is_cheaper(input, parameters.weight);
  if (!folded) rows = linalg::times_transposed(rows, matrix, rounds_matrix(parameters));
  return {rows, folded};
}

at::Tensor decorrelated_linear_output(const ReadRows& read,
                                      const DecorrelatedLinearParameters& parameters) {
  const at::NoGradGuard no_grad;
  const bool round = linalg::bfloat16_products();
  const at::Tensor weight =
      read.folded ? linalg::times(parameters.weight, parameters.matrix, rounds_matrix(parameters))
                  : parameters.weight;
  at::Tensor output =
      linalg::gemm(linalg::operand(read.rows, round), linalg::operand(weight, round).t());
  if (parameters.bias.defined()) output.add_(parameters.bias);
  return output;
}

at::Tensor decorrelated_linear_gradient(const ReadRows& read, const at::Tensor& error,
                                        const DecorrelatedLinearParameters& parameters) {
  const at::NoGradGuard no_grad;
  const bool round = linalg::bfloat16_products();
  const at::Tensor gradient =
      linalg::gemm(linalg::operand(error, round).t(), linalg::operand(read.rows, round));
  return read.folded
             ? linalg::times_transposed(gradient, parameters.matrix, rounds_matrix(parameters))
             : gradient;
}

}  // namespace decorr::nn
