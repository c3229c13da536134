#pragma once

#include "decorr/data/dataset.h"
#include "decorr/nn/model.h"
#include "decorr/train/config.h"

namespace decorr::train {

/// Gives `model`, newly built by make_model(config, dataset), the trained weights that
/// `config.train.initial_weights` names: a run directory, of which the last checkpoint is taken, or
/// a checkpoint file in one (`RUN/checkpoints/step-0000001200.safetensors`).
///
/// Parameters and buffers are taken by name. Decorrelated layers start with R = I and μ = 0; a run
/// that was decorrelated itself is folded first, whatever its method, so that the model computes
/// what the run did in evaluation mode. The data and its preparation are the new run's. Throws
/// `std::runtime_error`, changing nothing, if there is no such run or checkpoint, or naming the
/// first tensor that does not fit: one that either network lacks or has in another shape, or what
/// folding leaves over where the new network has no place for it.
void load_initial_weights(nn::Model& model, const Config& config, const data::Dataset& dataset);

}  // namespace decorr::train
