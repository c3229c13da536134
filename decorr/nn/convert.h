#pragma once

#include "decorr/core/check.h"
#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace decorr::nn {

/// What convert() did with one module that has weights.
struct LayerConversion {
  std::string path;        ///< where it is registered first; empty for the model itself
  std::string type;        ///< its class before, `torch::nn::Linear`
  bool converted = false;  ///< whether a decorrelated layer has taken its place
  std::string reason;      ///< why not, and what to do about it; empty if converted
};

/// The report in words: a line a module, then the number of those converted.
std::string to_string(const std::vector<LayerConversion>& report);

/// A model with decorrelated layers, and the report of how it came about.
template <typename M>
struct Converted {
  M model;
  std::vector<LayerConversion> report;
};

/// The type that a module handle has after conversion: the same, but for LibTorch's own layers.
template <typename M>
struct DecorrelatedForm {
  using type = M;
};
template <>
struct DecorrelatedForm<torch::nn::Linear> {
  using type = Linear;
};
template <>
struct DecorrelatedForm<torch::nn::Conv1d> {
  using type = Conv1d;
};
template <>
struct DecorrelatedForm<torch::nn::Conv2d> {
  using type = Conv2d;
};

namespace detail {

template <typename T>
std::shared_ptr<torch::nn::Module> module_of(const std::shared_ptr<T>& module) {
  return module;
}
template <typename T>
std::shared_ptr<torch::nn::Module> module_of(const torch::nn::ModuleHolder<T>& holder) {
  return holder.is_empty() ? nullptr : holder.ptr();
}

template <typename M, typename = void>
struct Contained {
  using type = typename M::element_type;
};
template <typename M>
struct Contained<M, std::void_t<typename M::ContainedType>> {
  using type = typename M::ContainedType;
};

// `module` in a handle of type M, a shared pointer or a module holder.
template <typename M>
M handle(const std::shared_ptr<torch::nn::Module>& module, const char* operation) {
  auto typed = std::dynamic_pointer_cast<typename Contained<M>::type>(module);
  check_argument(typed != nullptr,
                 "[{}] the model became a {}, which this handle cannot hold: pass a "
                 "std::shared_ptr<torch::nn::Module>",
                 operation, module->name());
  return M(std::move(typed));
}

inline const DecorrelationPlan& plan_of(const DecorrelationPlan& plan) { return plan; }
inline DecorrelationPlan plan_of(whitening::DecorrelatorOptions options) {
  return everywhere(std::move(options));
}

Converted<std::shared_ptr<torch::nn::Module>> convert(
    const std::shared_ptr<torch::nn::Module>& model, const DecorrelationPlan& plan,
    std::uint64_t seed);

}  // namespace detail

/// Gives a plain model decorrelated layers that compute the same: R = I and μ = 0, with copies of
/// the weights and biases, of the same type, device, mode and requires_grad.
///
/// `model` is a module holder or a shared pointer to a module. Converted are torch::nn::Linear,
/// Conv1d and Conv2d (with all their options), as the model itself or in Sequential, ModuleList
/// and ModuleDict to any depth, and the plain layers of a decorr::nn::Model. Containers are built
/// anew with the same names, so that checkpoints fit; a module registered twice becomes one module
/// registered twice. Everything else is kept as the same object, which the model and its converted
/// form then share: clone() the model first if it is to be trained on by itself. `model` itself is
/// left as it is.
///
/// Kept and reported: layers that are decorrelated already; layers in classes of one's own, whose
/// members have fixed types; frozen weights that function preservation would change, weights that
/// modules share, types other than float32 and float64; layers with weights that have no
/// decorrelated counterpart.
///
/// `how` is a DecorrelatorOptions for all layers or a DecorrelationPlan, asked with each layer's
/// path in the model; `seed` draws what the layers outside a decorr::nn::Model sample. Throws
/// `std::invalid_argument` if no layer can be converted and none is decorrelated already, or,
/// naming the layer, if the options asked for it do not validate.
template <typename M, typename How = whitening::DecorrelatorOptions>
Converted<typename DecorrelatedForm<M>::type> convert(const M& model, const How& how = {},
                                                      std::uint64_t seed = 0) {
  auto result = detail::convert(detail::module_of(model), detail::plan_of(how), seed);
  return {detail::handle<typename DecorrelatedForm<M>::type>(result.model, "convert"),
          std::move(result.report)};
}

}  // namespace decorr::nn

namespace decorr {
using nn::convert;
}
