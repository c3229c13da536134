#include "decorr/nn/update.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <map>
#include <set>

namespace decorr::nn {
namespace {

void check_weights(const std::vector<LocatedLayer>& layers) {
  std::map<const void*, std::string> owners;
  for (const auto& [path, layer] : layers) {
    whitening::Decorrelator& decorrelator = layer->decorrelator();
    if (!decorrelator->active() || !decorrelator->options().function_preserving) continue;
    check_argument(layer->weights().requires_grad(),
                   "[update] the weights of \"{}\" are frozen but follow R to preserve the "
                   "layer's function: set function_preserving = false or method = \"none\" there",
                   path);
    const auto [owner, is_new] = owners.emplace(layer->weights().data_ptr(), path);
    check_argument(is_new,
                   "[update] \"{}\" and \"{}\" share their weights but not R, so one of them "
                   "would change its function: untie them or set method = \"none\" there",
                   owner->second, path);
  }
}

}  // namespace

std::vector<LocatedLayer> decorrelated_layers(torch::nn::Module& model) {
  std::vector<LocatedLayer> layers;
  std::set<const DecorrelatedLayer*> seen;  // a layer may be registered in more than one place
  for (const auto& item : model.named_modules(std::string(), /*include_self=*/true))
    if (auto* layer = dynamic_cast<DecorrelatedLayer*>(item.value().get()))
      if (seen.insert(layer).second) layers.push_back({item.key(), layer});
  return layers;
}

std::vector<LayerUpdate> update(torch::nn::Module& model, optim::Optimizer* optimizer) {
  const std::vector<LocatedLayer> layers = decorrelated_layers(model);
  check_argument(!layers.empty(),
                 "[update] the model has no decorrelated layer: build it from decorr::nn layers");
  check_weights(layers);
  std::vector<LayerUpdate> updates;
  for (const auto& [path, layer] : layers) {
    whitening::Decorrelator& decorrelator = layer->decorrelator();
    const std::string& moments = decorrelator->options().moments;
    const bool follow = optimizer != nullptr && decorrelator->refreshes();
    MomentsOf moments_of;
    if (follow && moments == "transport")
      moments_of = [&](const at::Tensor& parameter) { return optimizer->first_moments(parameter); };
    updates.push_back({path, decorrelator->update(layer->readouts(moments_of))});
    if (follow && moments == "reset" && updates.back().report.refreshed)
      optimizer->reset_moments(layer->weights());
  }
  return updates;
}

}  // namespace decorr::nn
