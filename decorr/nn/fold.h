#pragma once

#include "decorr/nn/convert.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>

#include <memory>
#include <type_traits>

namespace decorr::nn {

/// The type that a module handle has after folding: the same, but for the layers themselves.
template <typename M>
struct PlainForm {
  using type = M;
};
template <>
struct PlainForm<Linear> {
  using type = torch::nn::Linear;
};
/// A convolution that pads its demeaned input becomes a Centred, any other one of LibTorch.
template <>
struct PlainForm<Conv1d> {
  using type = torch::nn::AnyModule;
};
template <>
struct PlainForm<Conv2d> {
  using type = torch::nn::AnyModule;
};

namespace detail {
std::shared_ptr<torch::nn::Module> fold(const std::shared_ptr<torch::nn::Module>& model,
                                        torch::nn::AnyModule* typed);
}  // namespace detail

/// Gives a trained model plain layers that compute what its decorrelated ones do in evaluation
/// mode: W' = W·R and b' = b - W'·μ, formed in float64.
///
/// `model` is a module holder or a shared pointer to a module. Linear, Conv1d and Conv2d become
/// LibTorch's layers of these names, as the model itself or in Sequential, ModuleList and
/// ModuleDict to any depth; a convolution that takes μ away before it pads with zeros becomes a
/// Centred. The bias of a layer that had none does not require grad. A decorr::nn::Model is built
/// anew with method `none`: there, such a bias is kept in `bias_offset` and such a mean in
/// `input_mean`. Containers are built anew with the same names; what holds no decorrelated layer is
/// kept as the same object, and weights are copied. `model` itself is left as it is.
///
/// Throws `std::invalid_argument` naming the layer if one is in training mode, where it computes
/// something else (call eval() first), is a member of a class of one's own, which cannot be
/// changed, is of another class, or pads in a way that LibTorch does not (`same` with an even
/// kernel in a mode other than zeros).
template <typename M>
typename PlainForm<M>::type fold(const M& model) {
  using Form = typename PlainForm<M>::type;
  torch::nn::AnyModule typed;
  const auto result = detail::fold(detail::module_of(model), &typed);
  if constexpr (std::is_same_v<Form, torch::nn::AnyModule>) {
    return typed;
  } else {
    return detail::handle<Form>(result, "fold");
  }
}

}  // namespace decorr::nn

namespace decorr {
using nn::fold;
}
