#pragma once

#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <cstdint>
#include <string>

// Internal to nn/: not installed.
namespace decorr::nn {

/// Builds the layers of a model: each asks the plan with its path and draws from a stream named by
/// it.
struct LayerFactory {
  DecorrelationPlan plan;
  std::uint64_t seed = 0;

  /// The linear layer at `path`.
  Linear linear(const std::string& path, LinearOptions options) const;

  /// The convolution at `path`.
  Conv2d conv2d(const std::string& path, const torch::nn::Conv2dOptions& options) const;
};

}  // namespace decorr::nn
