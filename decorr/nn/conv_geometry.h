#pragma once

#include "decorr/whitening/row_sampler.h"

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace decorr::nn {

/// Where a two-dimensional convolution looks. Arrays hold the height's number, then the width's.
struct ConvGeometry {
  using Pair = std::array<std::int64_t, 2>;

  Pair kernel{1, 1};
  Pair stride{1, 1};
  Pair dilation{1, 1};
  Pair before{0, 0};  ///< padding above and on the left
  Pair after{0, 0};   ///< padding below and on the right
  /// What padding holds: `zeros`, `reflect`, `replicate` or `circular`, as in LibTorch.
  std::string padding_mode = "zeros";

  bool pads() const;

  /// Size of the output for an input of `height` × `width`; less than 1 if the kernel does not fit.
  Pair output(std::int64_t height, std::int64_t width) const;

  /// `input` [N, C, H, W] with its padding, differentiable.
  at::Tensor padded(const at::Tensor& input) const;
};

/// The patches under the kernel at given positions of `input` [N, C, H, W], one a row, [s,
/// C·k_h·k_w] channel-major, then kernel row, then kernel column. Position i is output column i mod
/// W', output row (i / W') mod H' of sample i / (H'·W'). Zero padding holds 0; with `mark_padding`
/// it is marked as not to be centred. Nothing else of the input is unfolded. Not differentiable.
whitening::Rows gather_patches(const at::Tensor& input, const ConvGeometry& geometry,
                               const std::vector<std::int64_t>& positions, bool mark_padding);

}  // namespace decorr::nn
