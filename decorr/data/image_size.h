#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace decorr::data {

/// Pixels; a file that claims a longer side is refused.
inline constexpr std::int64_t kLargestSide = 1 << 14;

/// Scales `image`, uint8 [C, H, W], so that its shorter side has `size` >= 1 pixels (bilinear, over
/// the whole area of what becomes one pixel when it shrinks), and takes the middle `size` x `size`.
/// Returns uint8 [C, size, size].
at::Tensor resize_and_crop(const at::Tensor& image, std::int64_t size);

}  // namespace decorr::data
