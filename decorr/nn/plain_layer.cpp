#include "decorr/nn/plain_layer.h"

#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/nn/conv.h"
#include "decorr/nn/folded_weight.h"
#include "decorr/nn/linear.h"

#include <ATen/ATen.h>
#include <c10/util/Type.h>

#include <type_traits>
#include <typeinfo>

namespace decorr::nn {
namespace {

template <typename Layer>
constexpr bool kIsLinear = std::is_same_v<Layer, LinearImpl>;

// W·R in float64.
template <typename Layer>
at::Tensor folded(Layer& layer) {
  const at::Tensor weight = layer.weight.detach().to(at::kDouble).contiguous();
  const at::Tensor matrix = layer.decorrelator()->matrix().to(at::kDouble);
  if constexpr (kIsLinear<Layer>) {
    return linalg::times(weight, matrix);
  } else {
    return folded_weight(weight, matrix, layer.options.conv().groups(),
                         layer.options.decorrelation().structure == "channel");
  }
}

// W'·μ in float64, summed over the places of a kernel: [m].
template <typename Layer>
at::Tensor mean_response(const at::Tensor& weight, Layer& layer) {
  const at::Tensor mean = layer.decorrelator()->running_mean().to(at::kDouble);
  if constexpr (kIsLinear<Layer>) {
    return at::mv(weight, mean);
  } else {
    const std::int64_t groups = layer.options.conv().groups();
    const at::Tensor sums = weight.flatten(2).sum(2).view({groups, -1, weight.size(1)});
    return at::bmm(sums, mean.view({groups, -1, 1})).view({-1});
  }
}

// The tensors as they are, R and μ left aside.
template <typename Layer>
PlainLayer unfolded(Layer& layer) {
  PlainLayer result;
  result.weight = layer.weight.detach();
  result.weight_learns = layer.weight.requires_grad();
  result.bias_learns = layer.bias.defined() && layer.bias.requires_grad();
  if (layer.bias.defined()) {
    result.bias = layer.bias.detach();
  } else if (layer.bias_offset.defined()) {
    result.bias = layer.bias_offset;
  }
  if constexpr (!kIsLinear<Layer>) result.input_mean = layer.input_mean;
  return result;
}

template <typename Layer>
PlainLayer plain(Layer& layer) {
  PlainLayer result = unfolded(layer);
  if (!layer.decorrelator()->active()) return result;
  bool centres_first = false;
  if constexpr (!kIsLinear<Layer>) centres_first = layer.centres_before_padding();

  const at::NoGradGuard no_grad;
  const at::Tensor weight = folded(layer);
  const at::ScalarType type = layer.weight.scalar_type();
  result.weight = weight.to(type);
  if (centres_first) {
    const at::Tensor& mean = layer.decorrelator()->running_mean();
    result.input_mean = result.input_mean.defined() ? result.input_mean + mean : mean;
  } else {
    result.bias = (result.bias.to(at::kDouble) - mean_response(weight, layer)).to(type);
  }
  return result;
}

template <typename Layer>
void assign_to(const PlainLayer& plain, Layer& layer) {
  assign(plain.weight, layer.weight);
  layer.weight.set_requires_grad(plain.weight_learns);
  follow(plain.weight, layer);
  if (layer.bias.defined()) {
    assign(plain.bias, layer.bias);
    layer.bias.set_requires_grad(plain.bias_learns);
  } else if (plain.bias.defined() && layer.bias_offset.defined()) {
    assign(plain.bias, layer.bias_offset);
  } else if (plain.bias.defined()) {
    layer.bias_offset = layer.register_buffer("bias_offset", plain.bias.detach().clone());
  }
  if constexpr (!kIsLinear<Layer>)
    if (plain.input_mean.defined())
      layer.input_mean = layer.register_buffer("input_mean", plain.input_mean.clone());
}

// Calls `action` with the layer as what it is.
template <typename Action>
void dispatch(DecorrelatedLayer& layer, const Action& action) {
  if (auto* linear = dynamic_cast<LinearImpl*>(&layer)) return action(*linear);
  if (auto* conv = dynamic_cast<Conv1dImpl*>(&layer)) return action(*conv);
  if (auto* conv = dynamic_cast<Conv2dImpl*>(&layer)) return action(*conv);
  check_argument(false, "a {} is no Linear, Conv1d or Conv2d of decorr::nn",
                 c10::demangle(typeid(layer).name()));
}

}  // namespace

PlainLayer plain_layer(DecorrelatedLayer& layer) {
  PlainLayer result;
  dispatch(layer, [&](auto& typed) { result = plain(typed); });
  return result;
}

void assign_plain_layer(const PlainLayer& plain, DecorrelatedLayer& layer) {
  dispatch(layer, [&](auto& typed) { assign_to(plain, typed); });
}

void copy_layer(DecorrelatedLayer& from, DecorrelatedLayer& to) {
  dispatch(from, [&](auto& typed) { assign_plain_layer(unfolded(typed), to); });
  const auto buffers = from.decorrelator()->named_buffers();
  for (const auto& item : to.decorrelator()->named_buffers())
    assign(buffers[item.key()], item.value());
}

void assign(const at::Tensor& source, at::Tensor tensor) {
  tensor.set_data(source.detach().clone(at::MemoryFormat::Contiguous));
}

void follow(const at::Tensor& like, torch::nn::Module& module) {
  for (at::Tensor& buffer : module.buffers())
    buffer.set_data(buffer.to(
        like.device(), buffer.is_floating_point() ? like.scalar_type() : buffer.scalar_type()));
}

}  // namespace decorr::nn
