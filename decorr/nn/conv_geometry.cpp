#include "decorr/nn/conv_geometry.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>

namespace decorr::nn {
namespace {

// Index in [0, size) that position `at` shows, -1 for zero padding.
std::int64_t source(std::int64_t at, std::int64_t size, const std::string& mode) {
  if (at >= 0 && at < size) return at;
  if (mode == "zeros") return -1;
  if (mode == "replicate") return std::clamp<std::int64_t>(at, 0, size - 1);
  if (mode == "circular") return (at % size + size) % size;
  const std::int64_t mirrored = std::abs(at);  // reflect: padding is less than the size
  return mirrored < size ? mirrored : 2 * (size - 1) - mirrored;
}

// For each output coordinate in `outputs` the input coordinates under the kernel, [s, k].
at::Tensor coordinates(const std::vector<std::int64_t>& outputs, const ConvGeometry& geometry,
                       std::size_t axis, std::int64_t size) {
  const std::int64_t taps = geometry.kernel[axis];
  at::Tensor result = at::empty({static_cast<std::int64_t>(outputs.size()), taps}, at::kLong);
  auto* entry = result.data_ptr<std::int64_t>();
  for (const std::int64_t output : outputs)
    for (std::int64_t tap = 0; tap < taps; ++tap)
      *entry++ = source(
          output * geometry.stride[axis] - geometry.before[axis] + tap * geometry.dilation[axis],
          size, geometry.padding_mode);
  return result;
}

}  // namespace

bool ConvGeometry::pads() const { return before != Pair{0, 0} || after != Pair{0, 0}; }

ConvGeometry::Pair ConvGeometry::output(std::int64_t height, std::int64_t width) const {
  const Pair size{height, width};
  Pair result{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t room =
        size[axis] + before[axis] + after[axis] - dilation[axis] * (kernel[axis] - 1) - 1;
    result[axis] = room < 0 ? 0 : room / stride[axis] + 1;
  }
  return result;
}

at::Tensor ConvGeometry::padded(const at::Tensor& input) const {
  if (!pads()) return input;
  const std::vector<std::int64_t> sides{before[1], after[1], before[0], after[0]};
  const bool fits = padding_mode != "reflect" || (std::max(before[0], after[0]) < input.size(2) &&
                                                  std::max(before[1], after[1]) < input.size(3));
  const bool wraps =
      padding_mode != "circular" || (std::max(before[0], after[0]) <= input.size(2) &&
                                     std::max(before[1], after[1]) <= input.size(3));
  check_argument(fits && wraps, "[Conv2d] padding [{}] is too large for {} of an input of {}x{}",
                 fmt::join(sides, ", "), padding_mode, input.size(2), input.size(3));
  return at::pad(input, sides, padding_mode == "zeros" ? "constant" : padding_mode);
}

whitening::Rows gather_patches(const at::Tensor& input, const ConvGeometry& geometry,
                               const std::vector<std::int64_t>& positions, bool mark_padding) {
  const at::NoGradGuard no_grad;
  const std::int64_t channels = input.size(1), height = input.size(2), width = input.size(3);
  const auto [rows, columns] = geometry.output(height, width);
  const auto count = static_cast<std::int64_t>(positions.size());
  std::vector<std::int64_t> y(positions.size()), x(positions.size());
  at::Tensor sample = at::empty({count, 1, 1, 1}, at::kLong);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    x[i] = positions[i] % columns;
    y[i] = positions[i] / columns % rows;
    sample.data_ptr<std::int64_t>()[i] = positions[i] / (columns * rows);
  }
  const at::Tensor across = coordinates(x, geometry, 1, width).view({count, 1, 1, -1});
  const at::Tensor down = coordinates(y, geometry, 0, height).view({count, 1, -1, 1});
  const at::Tensor channel = at::arange(channels, at::kLong).view({1, -1, 1, 1});
  const at::Tensor inside = at::logical_and(down.ge(0), across.ge(0));
  // Padding points at some entry of its sample and is overwritten.
  const at::Tensor index =
      ((sample * channels + channel) * height + down.clamp_min(0)) * width + across.clamp_min(0);
  const at::Device device = input.device();
  at::Tensor patches = at::take(input.detach(), index.to(device)).flatten(1);
  if (inside.all().item<bool>()) return {patches, {}};
  const at::Tensor mask = inside.expand(index.sizes()).flatten(1).to(patches.options());
  patches.mul_(mask);
  return {patches, mark_padding ? mask : at::Tensor()};
}

}  // namespace decorr::nn
