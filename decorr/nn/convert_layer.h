#pragma once

#include "decorr/core/random.h"
#include "decorr/whitening/options.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>

#include <string>

// The conversion of one layer. Internal to nn/: not installed.
namespace decorr::nn {

/// The class of `module` as users write it: `torch::nn::Linear`.
std::string type_name(const torch::nn::Module& module);

/// Whether `module` is a torch::nn::Linear, Conv1d or Conv2d (no class derived from them).
bool can_convert(const torch::nn::Module& module);

/// What to write for a module that can_convert().
std::string decorrelated_form(const torch::nn::Module& module);

/// A layer that computes what `module` does, one that can_convert() or a Linear, Conv1d or Conv2d
/// of decorr::nn with method `none`, decorrelated as `options` say, at `path`. Empty if there is
/// none, with the `reason`.
torch::nn::AnyModule convert_layer(torch::nn::Module& module,
                                   const whitening::DecorrelatorOptions& options,
                                   const RandomStream& random, const std::string& path,
                                   std::string& reason);

}  // namespace decorr::nn
