#pragma once

#include "decorr/nn/model.h"

#include <map>
#include <memory>
#include <string>

// A decorr::nn::Model with its layers decorrelated in another way. Internal to nn/: not installed.
namespace decorr::nn {

/// The decorrelation of the layers of a model, by their paths in it.
using LayerOptions = std::map<std::string, whitening::DecorrelatorOptions>;

/// `model`, which `operation` has found at `path`, built anew with `options` for its layers and
/// copies of its tensors, so that it computes the same in evaluation mode.
///
/// A layer with a method before and after keeps its R and μ, which its options have to fit; of all
/// others what they compute is taken (PlainLayer). Throws `std::invalid_argument` naming `path` and
/// the tensor if Model::with_decorrelation() gives other tensors than `model` has.
std::shared_ptr<Model> rebuild_model(Model& model, const std::string& path,
                                     const LayerOptions& options, const char* operation);

}  // namespace decorr::nn
