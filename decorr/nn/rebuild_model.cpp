#include "decorr/nn/rebuild_model.h"

#include "decorr/core/check.h"
#include "decorr/nn/plain_layer.h"
#include "decorr/nn/rebuild.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include <utility>

namespace decorr::nn {
namespace {

using Tensors = torch::OrderedDict<std::string, at::Tensor>;

// Gives the tensors in `to` that are in `from` too the same values.
void assign_all(const Tensors& from, const Tensors& to) {
  for (const auto& item : to) {
    const at::Tensor* source = from.find(item.key());
    if (source == nullptr) continue;
    assign(*source, item.value());
    item.value().set_requires_grad(source->requires_grad());
  }
}

void check_same_parameters(const Tensors& expected, const Tensors& actual, const std::string& path,
                           const char* operation) {
  const auto sizes = [](const at::Tensor* tensor) {
    return tensor == nullptr ? std::string("no such tensor")
                             : fmt::format("[{}]", fmt::join(tensor->sizes(), ", "));
  };
  const auto check = [&](const std::string& name) {
    const at::Tensor *before = expected.find(name), *after = actual.find(name);
    check_argument(before != nullptr && after != nullptr && before->sizes() == after->sizes(),
                   "[{}] \"{}\": with_decorrelation() must build the same network, got {} for {} "
                   "of {}",
                   operation, path, sizes(after), joined(path, name), sizes(before));
  };
  for (const auto& item : expected) check(item.key());
  for (const auto& item : actual) check(item.key());
}

void copy_modes(const torch::nn::Module& from, torch::nn::Module& to) {
  const auto modules = from.named_modules();
  // From the top down: train() reaches everything below.
  for (const auto& item : to.named_modules())
    if (const auto* source = modules.find(item.key()))
      item.value()->train((*source)->is_training());
}

}  // namespace

std::shared_ptr<Model> rebuild_model(Model& model, const std::string& path,
                                     const LayerOptions& options, const char* operation) {
  // The model keeps the plan, so the plan owns its options.
  const std::shared_ptr<Model> result =
      model.with_decorrelation([options](const std::string& layer) { return options.at(layer); });
  check_same_parameters(model.named_parameters(), result->named_parameters(), path, operation);
  assign_all(model.named_parameters(), result->named_parameters());
  assign_all(model.named_buffers(), result->named_buffers());
  const auto layers = decorrelated_layers(*result);
  for (const auto& [name, layer] : decorrelated_layers(model)) {
    DecorrelatedLayer* target = nullptr;
    for (const LocatedLayer& located : layers)
      if (located.path == name) target = located.layer;
    check_argument(target != nullptr, "[{}] \"{}\": with_decorrelation() left out the layer {}",
                   operation, path, joined(path, name));
    if (layer->decorrelator()->active() && target->decorrelator()->active()) {
      copy_layer(*layer, *target);
    } else {
      assign_plain_layer(plain_layer(*layer), *target);
    }
  }
  copy_modes(model, *result);
  return result;
}

}  // namespace decorr::nn
