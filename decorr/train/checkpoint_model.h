#pragma once

#include "decorr/io/safetensors.h"
#include "decorr/nn/model.h"

#include <string>

namespace decorr::train {

/// Copies the tensors `model.<name>` of a checkpoint into the parameters and buffers of `model`.
/// `source` names the checkpoint in errors. Throws `std::runtime_error`, changing nothing, if one
/// is missing or of another shape or type.
void load_model_tensors(nn::Model& model, const io::NamedTensors& tensors,
                        const std::string& source);

}  // namespace decorr::train
