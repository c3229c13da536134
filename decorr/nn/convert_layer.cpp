#include "decorr/nn/convert_layer.h"

#include "decorr/core/check.h"
#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/plain_layer.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <typeinfo>

namespace decorr::nn {
namespace {

using torch::nn::AnyModule;
using torch::nn::Module;
using whitening::DecorrelatorOptions;

template <typename T>
T* exactly(Module& module) {
  return typeid(module) == typeid(T) ? dynamic_cast<T*>(&module) : nullptr;
}

template <typename Layer>
PlainLayer tensors_of(const Layer& layer) {
  PlainLayer plain;
  plain.weight = layer.weight.detach();
  plain.weight_learns = layer.weight.requires_grad();
  if (layer.bias.defined()) {
    plain.bias = layer.bias.detach();
    plain.bias_learns = layer.bias.requires_grad();
  }
  return plain;
}

// A `Layer` made of `options` that computes `plain`.
template <typename Layer, typename Options>
AnyModule filled(const Options& options, const PlainLayer& plain, const Module& original) {
  auto layer = std::make_shared<Layer>(options);
  assign_plain_layer(plain, *layer);
  layer->train(original.is_training());
  return AnyModule(layer);
}

template <std::size_t D>
torch::nn::ConvOptions<D> conv_options(const torch::nn::detail::ConvNdOptions<D>& options) {
  return torch::nn::ConvOptions<D>(options.in_channels(), options.out_channels(),
                                   options.kernel_size())
      .stride(options.stride())
      .padding(options.padding())
      .dilation(options.dilation())
      .groups(options.groups())
      .bias(options.bias())
      .padding_mode(options.padding_mode());
}

// LibTorch's `same` padding in a mode other than zeros takes the height's padding for the width.
bool pads_in_wrong_order(const ConvGeometry& geometry) {
  return geometry.padding_mode != "zeros" &&
         (geometry.before[0] != geometry.before[1] || geometry.after[0] != geometry.after[1]);
}

template <std::size_t D, typename Layer, typename Original>
AnyModule from_conv(const Original& conv, const DecorrelatorOptions& options,
                    const RandomStream& random, const std::string& path, std::string& reason) {
  DecorrelatorOptions plain_options;
  plain_options.method = "none";
  const auto all = ConvOptions<D>(conv_options<D>(conv.options));
  using Padding = std::decay_t<decltype(conv.options.padding())>;
  const bool same = conv.options.padding().index() == Padding(torch::kSame).index();
  if (D == 2 && same &&
      pads_in_wrong_order(Layer(ConvOptions<D>(all).decorrelation(plain_options)).geometry())) {
    reason = "LibTorch pads it in the wrong order: give the padding in numbers";
    return {};
  }
  return filled<Layer>(ConvOptions<D>(all).decorrelation(options).random(random).path(path),
                       tensors_of(conv), conv);
}

std::string conv_text(const char* name, std::int64_t in, std::int64_t out) {
  return fmt::format(
      "decorr::nn::{0}, built with decorr::nn::{0}Options(torch::nn::{0}Options({1}, {2}, "
      "...)).decorrelation(...)",
      name, in, out);
}

}  // namespace

std::string type_name(const Module& module) {
  std::string name = module.name();
  constexpr std::size_t kSuffix = 4;
  if (name.size() > kSuffix && name.compare(name.size() - kSuffix, kSuffix, "Impl") == 0)
    name.resize(name.size() - kSuffix);
  return name;
}

bool can_convert(const Module& module) {
  return typeid(module) == typeid(torch::nn::LinearImpl) ||
         typeid(module) == typeid(torch::nn::Conv1dImpl) ||
         typeid(module) == typeid(torch::nn::Conv2dImpl);
}

std::string decorrelated_form(const Module& module) {
  if (const auto* conv = dynamic_cast<const torch::nn::Conv1dImpl*>(&module))
    return conv_text("Conv1d", conv->options.in_channels(), conv->options.out_channels());
  if (const auto* conv = dynamic_cast<const torch::nn::Conv2dImpl*>(&module))
    return conv_text("Conv2d", conv->options.in_channels(), conv->options.out_channels());
  const auto& linear = dynamic_cast<const torch::nn::LinearImpl&>(module);
  return fmt::format(
      "decorr::nn::Linear, built with decorr::nn::LinearOptions({}, {}).decorrelation(...)",
      linear.options.in_features(), linear.options.out_features());
}

AnyModule convert_layer(Module& module, const DecorrelatorOptions& options,
                        const RandomStream& random, const std::string& path, std::string& reason) {
  if (const auto* linear = exactly<torch::nn::LinearImpl>(module))
    return filled<LinearImpl>(
        LinearOptions(linear->options.in_features(), linear->options.out_features())
            .bias(linear->options.bias())
            .decorrelation(options)
            .random(random)
            .path(path),
        tensors_of(*linear), module);
  if (const auto* conv = exactly<torch::nn::Conv1dImpl>(module))
    return from_conv<1, Conv1dImpl>(*conv, options, random, path, reason);
  if (const auto* conv = exactly<torch::nn::Conv2dImpl>(module))
    return from_conv<2, Conv2dImpl>(*conv, options, random, path, reason);
  const auto again = [&](auto& layer) {
    using Layer = std::decay_t<decltype(layer)>;
    auto changed = layer.options;
    return filled<Layer>(changed.decorrelation(options).random(random).path(path),
                         plain_layer(layer), module);
  };
  if (auto* linear = exactly<LinearImpl>(module)) return again(*linear);
  if (auto* conv = exactly<Conv1dImpl>(module)) return again(*conv);
  if (auto* conv = exactly<Conv2dImpl>(module)) return again(*conv);
  reason = "it is a layer of another class: give it its options where it is built";
  return {};
}

}  // namespace decorr::nn
