#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace decorr::nn {

/// Size of the images that a model takes.
struct ImageShape {
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;

  /// Throws `std::invalid_argument` in the name of `model` unless all are at least 1.
  void validate(const std::string& model) const;

  /// Throws `std::invalid_argument` in the name of `model` unless `input` is [N, channels, height,
  /// width] with N > 0.
  void check(const std::string& model, const at::Tensor& input) const;
};

/// `images` [N, C, H, W] in the layout of memory that convolutions and pooling are fastest in: on
/// the CPU in float32 channels last (measured in docs/performance.md), else as they are.
at::Tensor in_fast_layout(const at::Tensor& images);

/// Images [N, C, H, W] as sequences of their rows, [N, H, C·W]: token t is row t of all channels.
at::Tensor image_rows(const at::Tensor& images);

}  // namespace decorr::nn
