#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace decorr::nn {

/// An activation function by name; see activations(). Applied elementwise.
using Activation = at::Tensor (*)(const at::Tensor&);

/// Names that activation() accepts: relu, leaky-relu (slope 0.01), tanh, sigmoid, gelu, elu, silu
/// and identity, as LibTorch defines them.
std::vector<std::string> activations();

/// The function called `name`. Throws `std::invalid_argument` for another name.
Activation activation(const std::string& name);

}  // namespace decorr::nn
