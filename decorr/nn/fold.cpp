#include "decorr/nn/fold.h"

#include "decorr/nn/convert_layer.h"
#include "decorr/nn/plain_layer.h"
#include "decorr/nn/rebuild.h"
#include "decorr/nn/rebuild_model.h"
#include "decorr/nn/subtract_mean.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include <exception>

namespace decorr::nn {
namespace {

using torch::nn::AnyModule;
using torch::nn::Module;
using ModulePointer = std::shared_ptr<Module>;

// Gives a layer of LibTorch the tensors of `plain`.
template <typename Layer>
std::shared_ptr<Layer> filled_plain(std::shared_ptr<Layer> layer, const PlainLayer& plain) {
  assign(plain.weight, layer->weight);
  layer->weight.set_requires_grad(plain.weight_learns);
  if (plain.bias.defined()) {
    assign(plain.bias, layer->bias);
    layer->bias.set_requires_grad(plain.bias_learns);
  }
  layer->eval();
  return layer;
}

// Options of LibTorch's convolution that pads as `conv` does. Its own `same` padding in modes other
// than zeros takes the axes in the wrong order, so numbers are given where they can be.
template <std::size_t D, typename Conv>
torch::nn::ConvOptions<D> plain_conv_options(const Conv& conv) {
  torch::nn::ConvOptions<D> options = conv.options.conv();
  const ConvGeometry& geometry = conv.geometry();
  if (geometry.padding_mode == "zeros") return options;
  if (geometry.before == geometry.after) {
    torch::ExpandingArray<D> padding(0);
    for (std::size_t i = 0; i < D; ++i) (*padding)[i] = geometry.before[i + 2 - D];
    return options.padding(padding);
  }
  check_argument(
      D == 1 ||
          (geometry.before[0] == geometry.before[1] && geometry.after[0] == geometry.after[1]),
      "LibTorch does not pad an even kernel with \"same\" and mode {}", geometry.padding_mode);
  return options;
}

template <std::size_t D, typename Plain, typename Conv>
AnyModule plain_conv(Conv& conv) {
  const PlainLayer plain = plain_layer(conv);
  auto layer = filled_plain(
      std::make_shared<Plain>(plain_conv_options<D>(conv).bias(plain.bias.defined())), plain);
  if (!plain.input_mean.defined()) return AnyModule(layer);
  auto subtract = std::make_shared<SubtractMeanImpl>(plain.input_mean.size(0), D);
  assign(plain.input_mean, subtract->mean);
  auto centred = std::make_shared<CentredImpl>();
  centred->push_back(subtract);
  centred->push_back(layer);
  centred->eval();
  return AnyModule(centred);
}

AnyModule plain_module(DecorrelatedLayer& layer) {
  if (auto* conv = dynamic_cast<Conv1dImpl*>(&layer))
    return plain_conv<1, torch::nn::Conv1dImpl>(*conv);
  if (auto* conv = dynamic_cast<Conv2dImpl*>(&layer))
    return plain_conv<2, torch::nn::Conv2dImpl>(*conv);
  const PlainLayer plain = plain_layer(layer);
  return AnyModule(
      filled_plain(std::make_shared<torch::nn::LinearImpl>(
                       torch::nn::LinearOptions(plain.weight.size(1), plain.weight.size(0))
                           .bias(plain.bias.defined())),
                   plain));
}

AnyModule plain_model(const std::string& path, Model& model) {
  LayerOptions options;
  bool changes = false;
  for (const auto& [name, layer] : decorrelated_layers(model)) {
    changes = changes || layer->decorrelator()->active();
    options[name].method = "none";
  }
  if (!changes) return {};
  return AnyModule(rebuild_model(model, path, options, "fold"));
}

// The plain module in the place of `module`, if it holds decorrelated layers.
AnyModule replacement(const std::string& path, const ModulePointer& module) {
  if (const auto model = std::dynamic_pointer_cast<Model>(module)) return plain_model(path, *model);
  if (auto* layer = dynamic_cast<DecorrelatedLayer*>(module.get())) {
    try {
      return plain_module(*layer);
    } catch (const std::invalid_argument& error) {
      check_argument(false, "[fold] \"{}\": {}", path, error.what());
    }
  }
  for (const LocatedLayer& inner : decorrelated_layers(*module))
    check_argument(!inner.layer->decorrelator()->active(),
                   "[fold] \"{}\" is a member of {}, which has a fixed type: hold it in a "
                   "Sequential, ModuleList or ModuleDict, or make the class a decorr::nn::Model",
                   joined(path, inner.path), type_name(*module));
  return {};
}

}  // namespace

namespace detail {

ModulePointer fold(const ModulePointer& model, AnyModule* typed) {
  check_argument(model != nullptr, "[fold] the model must be a module, got an empty pointer");
  for (const auto& [path, layer] : decorrelated_layers(*model))
    check_argument(!dynamic_cast<const Module&>(*layer).is_training(),
                   "[fold] \"{}\" is in training mode, where it computes something else: call "
                   "eval() of the model first",
                   path);
  Part result = rebuild(model, replacement);
  *typed = std::move(result.typed);
  return result.module;
}

}  // namespace detail
}  // namespace decorr::nn
