#pragma once

#include "decorr/nn/decorrelated_layer.h"
#include "decorr/optim/optimizer.h"

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

namespace decorr::nn {

/// What update() did to one layer.
struct LayerUpdate {
  std::string path;  ///< the layer's path in the model
  whitening::UpdateReport report;
};

/// A decorrelated layer of a model and where it is.
struct LocatedLayer {
  std::string path;
  DecorrelatedLayer* layer;
};

/// The decorrelated layers of `model` in the order they are registered, each once, where it is
/// registered first.
std::vector<LocatedLayer> decorrelated_layers(torch::nn::Module& model);

/// Updates every decorrelated layer of `model` from what its last forward passes cached: call it
/// once after each optimizer step (and its weight decay). Returns a report a layer.
///
/// Gradients transform as G ← G·M⁻ᵀ when W ← W·M. For the small steps of most rules the optimizer's
/// moments are left as they are. Rules that replace R (`zca` and its kind) need `optimizer`: they
/// do with its moments what DecorrelatorOptions::moments says; without one they leave them. Throws
/// `std::invalid_argument`, before anything has changed, if the model has no decorrelated layer, or
/// if a layer with function preservation has frozen weights or shares them with another layer,
/// which would break the function of one of the two.
std::vector<LayerUpdate> update(torch::nn::Module& model, optim::Optimizer* optimizer = nullptr);
/// The same.
inline std::vector<LayerUpdate> update(torch::nn::Module& model, optim::Optimizer& optimizer) {
  return update(model, &optimizer);
}

}  // namespace decorr::nn

namespace decorr {
using nn::update;
}
