#include "decorr/nn/conv_geometry.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>
#include <torch/enum.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdlib>

namespace decorr::nn {
namespace {

#if TORCH_VERSION_MAJOR >= 2
namespace variant = std;
#else
namespace variant = c10;
#endif

// D numbers, behind `missing` for the height if there is none.
template <std::size_t D>
ConvGeometry::Pair pair(const torch::ExpandingArray<D>& values, std::int64_t missing) {
  if constexpr (D == 1) return {missing, (*values)[0]};
  return {(*values)[0], (*values)[D - 1]};
}

std::string mode_name(const torch::nn::detail::conv_padding_mode_t& mode) {
  if (variant::holds_alternative<torch::enumtype::kReflect>(mode)) return "reflect";
  if (variant::holds_alternative<torch::enumtype::kReplicate>(mode)) return "replicate";
  if (variant::holds_alternative<torch::enumtype::kCircular>(mode)) return "circular";
  return "zeros";
}

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

template <std::size_t D>
ConvGeometry::ConvGeometry(const torch::nn::ConvOptions<D>& options, const std::string& name)
    : dimensions(D),
      kernel(pair<D>(options.kernel_size(), 1)),
      stride(pair<D>(options.stride(), 1)),
      dilation(pair<D>(options.dilation(), 1)),
      padding_mode(mode_name(options.padding_mode())) {
  const auto check = [&](const char* what, const Pair& values, std::int64_t least) {
    check_argument(std::min(values[0], values[1]) >= least, "[{}] {} must be at least {}, got {}",
                   name, what, least, shown(values));
  };
  check("kernel_size", kernel, 1);
  check("stride", stride, 1);
  check("dilation", dilation, 1);
  if (const auto* numbers = variant::get_if<torch::ExpandingArray<D>>(&options.padding())) {
    before = after = pair<D>(*numbers, 0);
    check("padding", before, 0);
  } else if (variant::holds_alternative<torch::enumtype::kSame>(options.padding())) {
    check_argument(stride == (Pair{1, 1}), "[{}] stride must be 1 with padding \"same\", got {}",
                   name, shown(stride));
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const std::int64_t total = dilation[axis] * (kernel[axis] - 1);
      before[axis] = total / 2;
      after[axis] = total - total / 2;
    }
  }
}

template ConvGeometry::ConvGeometry(const torch::nn::ConvOptions<1>&, const std::string&);
template ConvGeometry::ConvGeometry(const torch::nn::ConvOptions<2>&, const std::string&);

// The numbers of the dimensions that there are.
std::string ConvGeometry::shown(const Pair& values) const {
  return fmt::format("[{}]",
                     fmt::join(values.begin() + (dimensions == 1 ? 1 : 0), values.end(), ", "));
}

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

void ConvGeometry::check_input(std::int64_t height, std::int64_t width,
                               const std::string& name) const {
  const Pair size{height, width};
  const auto [rows, columns] = output(height, width);
  check_argument(rows >= 1 && columns >= 1,
                 "[{}] input must not be smaller, with padding, than the kernel {} with dilation "
                 "{}, got {} with padding {} and {}",
                 name, shown(kernel), shown(dilation), shown(size), shown(before), shown(after));
  const bool reflects = padding_mode == "reflect";
  if (!reflects && padding_mode != "circular") return;
  for (std::size_t axis = 0; axis < 2; ++axis)
    check_argument(std::max(before[axis], after[axis]) + (reflects ? 1 : 0) <= size[axis],
                   "[{}] input must be {} its {} padding, {} and {}, got {}", name,
                   reflects ? "larger than" : "at least as large as", padding_mode, shown(before),
                   shown(after), shown(size));
}

at::Tensor ConvGeometry::padded(const at::Tensor& input) const {
  if (!pads()) return input;
  return at::pad(input, {before[1], after[1], before[0], after[0]},
                 padding_mode == "zeros" ? "constant" : padding_mode);
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
  // The memory that the input lies in, whatever its strides, so that only the patches are copied.
  std::int64_t extent = 1;
  for (std::int64_t axis = 0; axis < 4; ++axis)
    extent += (input.size(axis) - 1) * input.stride(axis);
  const at::Tensor memory = input.detach().as_strided({extent}, {1});
  // Padding points at some entry of its sample and is overwritten.
  const at::Tensor index = sample * input.stride(0) + channel * input.stride(1) +
                           down.clamp_min(0) * input.stride(2) +
                           across.clamp_min(0) * input.stride(3);
  at::Tensor patches = at::take(memory, index.to(input.device())).flatten(1);
  if (inside.all().item<bool>()) return {patches, {}};
  const at::Tensor mask = inside.expand(index.sizes()).flatten(1).to(patches.options());
  patches.mul_(mask);
  return {patches, mark_padding ? mask : at::Tensor()};
}

}  // namespace decorr::nn
