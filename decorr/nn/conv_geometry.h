#pragma once

#include "decorr/whitening/row_sampler.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/options/conv.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace decorr::nn {

/// Where a convolution over one or two dimensions looks. Arrays hold the height's number, then the
/// width's; one dimension is a height of 1.
struct ConvGeometry {
  using Pair = std::array<std::int64_t, 2>;

  /// One entry under a kernel of one.
  ConvGeometry() = default;
  /// That of a convolution over D = 1 or 2 dimensions. Throws `std::invalid_argument` with `name`
  /// in brackets for a kernel, stride or dilation below 1, negative padding, or `same` padding with
  /// a stride.
  template <std::size_t D>
  ConvGeometry(const torch::nn::ConvOptions<D>& options, const std::string& name);

  std::size_t dimensions = 2;
  Pair kernel{1, 1};
  Pair stride{1, 1};
  Pair dilation{1, 1};
  Pair before{0, 0};  ///< padding above and on the left
  Pair after{0, 0};   ///< padding below and on the right
  /// What padding holds: `zeros`, `reflect`, `replicate` or `circular`, as in LibTorch.
  std::string padding_mode = "zeros";

  bool pads() const;

  /// Size of the output for an input of `height` × `width`; 0 where the kernel does not fit.
  Pair output(std::int64_t height, std::int64_t width) const;

  /// Throws `std::invalid_argument` with `name` in brackets if an input of `height` × `width` is
  /// too small for the kernel or for its padding (`reflect` needs more entries than it adds on a
  /// side, `circular` as many).
  void check_input(std::int64_t height, std::int64_t width, const std::string& name) const;

  /// `input` [N, C, H, W], large enough, with its padding; differentiable.
  at::Tensor padded(const at::Tensor& input) const;

 private:
  std::string shown(const Pair& values) const;
};

/// The patches under the kernel at given positions of `input` [N, C, H, W], large enough, one a
/// row, [s, C·k_h·k_w] channel-major, then kernel row, then kernel column. Position i is output
/// column i mod W', output row (i / W') mod H' of sample i / (H'·W'). Zero padding holds 0; with
/// `mark_padding` it is marked as not to be centred. Nothing else of the input is unfolded. Not
/// differentiable.
whitening::Rows gather_patches(const at::Tensor& input, const ConvGeometry& geometry,
                               const std::vector<std::int64_t>& positions, bool mark_padding);

}  // namespace decorr::nn
