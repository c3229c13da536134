#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace decorr::whitening {

/// A linear map that reads u, and so must follow when R or μ changes: y = W·u + b.
struct Readout {
  /// W, [m, n/groups] or, if k places read the same features and add up, [m, k, n/groups]; any
  /// strides. The first m/groups rows read the first group, and so on. Changed in place.
  at::Tensor weight;
  at::Tensor bias;  ///< b, [m], changed in place; undefined if μ does not matter to this map
  /// Tensors in the shape of `weight` that transform like gradients of it (an optimizer's first
  /// moment), moved along when a rule replaces R.
  std::vector<at::Tensor> gradients{};
};

}  // namespace decorr::whitening
