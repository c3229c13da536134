#pragma once

#include "decorr/nn/decorrelated_layer.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

// What convert() takes over from layers and fold() makes of them. Internal to nn/: not installed.
namespace decorr::nn {

/// What a linear layer or a convolution computes, without R and μ: y = W·(x - m) + b.
struct PlainLayer {
  at::Tensor weight;          ///< W, in the shape of the layer's
  at::Tensor bias;            ///< b, [m], or undefined
  bool weight_learns = true;  ///< requires_grad of W
  bool bias_learns = true;    ///< requires_grad of b; false for what was no parameter
  at::Tensor input_mean;      ///< m, [c], to be taken away before zero padding; or undefined
};

/// What `layer`, a Linear, Conv1d or Conv2d, computes in evaluation mode: W' = W·R and b' = b -
/// W'·μ, formed in float64; or W' = W·R with m = μ if μ is taken away before zero padding. Throws
/// `std::invalid_argument` for another class of layer.
PlainLayer plain_layer(DecorrelatedLayer& layer);

/// Makes `layer`, a fresh Linear, Conv1d or Conv2d (R = I, μ = 0), compute the same, with copies of
/// the tensors, in their type and on their device. A layer that learns no bias keeps b in
/// `bias_offset`. Throws `std::invalid_argument` for another class of layer.
void assign_plain_layer(const PlainLayer& plain, DecorrelatedLayer& layer);

/// Gives `to`, a fresh layer of the same class and options, the tensors of `from`: parameters, R, μ
/// and all.
void copy_layer(DecorrelatedLayer& from, DecorrelatedLayer& to);

/// Gives `tensor`, a parameter or buffer of a module, a copy of the value of `source`, whatever
/// types and devices they have.
void assign(const at::Tensor& source, at::Tensor tensor);

/// Moves the buffers of `module` to the device of `like`, and those of floating point to its type.
void follow(const at::Tensor& like, torch::nn::Module& module);

}  // namespace decorr::nn
