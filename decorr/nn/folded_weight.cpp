#include "decorr/nn/folded_weight.h"

#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

namespace decorr::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Each group's rows of `weight` times its R, or Rᵀ.
at::Tensor multiply(const at::Tensor& weight, const at::Tensor& matrix, std::int64_t groups,
                    bool channels_only, bool transposed, bool bfloat16) {
  const at::Tensor view = readout_view(weight, channels_only);
  const std::int64_t width = view.size(-1);
  const at::Tensor rows = view.reshape({groups, -1, width});
  std::vector<at::Tensor> products;
  for (std::int64_t i = 0; i < groups; ++i) {
    const at::Tensor part = matrix.narrow(0, i * width, width);
    products.push_back(transposed ? linalg::times_transposed(rows[i], part, bfloat16)
                                  : linalg::times(rows[i], part, bfloat16));
  }
  const at::Tensor all = products.size() == 1 ? products.front() : at::cat(products);
  if (!channels_only) return all.view(weight.sizes());
  return all.view(view.sizes()).transpose(1, 2).reshape(weight.sizes());
}

class FoldedWeight : public torch::autograd::Function<FoldedWeight> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight,
                            const at::Tensor& matrix, std::int64_t groups, bool channels_only,
                            bool bfloat16) {
    context->save_for_backward({matrix});
    context->saved_data["groups"] = groups;
    context->saved_data["channels_only"] = channels_only;
    context->saved_data["bfloat16"] = bfloat16;
    return multiply(weight, matrix, groups, channels_only, false, bfloat16);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_argument(!at::GradMode::is_enabled(),
                   "[Conv{}d] a second derivative is not available: call backward() without "
                   "create_graph",
                   gradients[0].dim() - 2);
    const at::Tensor gradient = unfolded_gradient(
        gradients[0], context->get_saved_variables()[0], context->saved_data["groups"].toInt(),
        context->saved_data["channels_only"].toBool(), context->saved_data["bfloat16"].toBool());
    return {gradient, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor readout_view(const at::Tensor& weight, bool channels_only) {
  check_argument(
      weight.is_contiguous(), "[Conv{}d] weights must be contiguous, got strides [{}] for [{}]",
      weight.dim() - 2, fmt::join(weight.strides(), ", "), fmt::join(weight.sizes(), ", "));
  if (!channels_only) return weight.view({weight.size(0), -1});
  return weight.view({weight.size(0), weight.size(1), -1}).transpose(1, 2);
}

at::Tensor unfolded_gradient(const at::Tensor& gradient, const at::Tensor& matrix,
                             std::int64_t groups, bool channels_only, bool bfloat16) {
  return multiply(gradient.contiguous(), matrix, groups, channels_only, true, bfloat16);
}

at::Tensor folded_weight(const at::Tensor& weight, const at::Tensor& matrix, std::int64_t groups,
                         bool channels_only, bool bfloat16) {
  return FoldedWeight::apply(weight, matrix, groups, channels_only, bfloat16);
}

}  // namespace decorr::nn
