#pragma once

#include "decorr/nn/conv.h"

#include <ATen/ATen.h>
#include <torch/enum.h>
#include <torch/nn/options/conv.h>

#include "tests/nn/support.h"
#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace decorr::nn {

using Pair = std::array<std::int64_t, 2>;

/// Where a convolution of the tests looks, for references that read no options; one dimension is a
/// height of 1.
struct Looks {
  Pair size;  ///< height and width of the input
  Pair kernel, stride, dilation;
  Pair before, after;  ///< padding
  const char* mode = "zeros";
};

template <std::size_t D>
struct ConvCase {
  const char* name;
  torch::nn::ConvOptions<D> options;
  Looks looks;
};

/// Convolutions of many kinds over two dimensions, four channels in.
inline std::vector<ConvCase<2>> conv2d_cases() {
  const auto conv = [](torch::ExpandingArray<2> kernel) {
    return torch::nn::Conv2dOptions(4, 6, kernel);
  };
  const Pair one{1, 1}, two{2, 2}, none{0, 0};
  return {
      {"1x1", conv(1), {{4, 6}, one, one, one, none, none}},
      {"1x1, stride 2", conv(1).stride(2).bias(false), {{5, 4}, one, two, one, none, none}},
      {"3x3", conv(3).padding(1), {{5, 6}, {3, 3}, one, one, one, one}},
      {"2x3, strides",
       conv({2, 3}).stride({2, 1}).padding({1, 2}).bias(false),
       {{6, 5}, {2, 3}, {2, 1}, one, {1, 2}, {1, 2}}},
      {"5x2, dilated",
       conv({5, 2}).padding({2, 1}).dilation({1, 2}),
       {{7, 5}, {5, 2}, one, {1, 2}, {2, 1}, {2, 1}}},
      {"valid 2x2", conv(2).padding(torch::kValid), {{4, 3}, two, one, one, none, none}},
      {"same 2x5", conv({2, 5}).padding(torch::kSame), {{5, 7}, {2, 5}, one, one, {0, 2}, {1, 2}}},
      {"same 4x3, dilated, replicate",
       conv({4, 3}).padding(torch::kSame).dilation({1, 2}).padding_mode(torch::kReplicate),
       {{5, 6}, {4, 3}, one, {1, 2}, {1, 2}, two, "replicate"}},
      {"same 2x5, reflect",
       conv({2, 5}).padding(torch::kSame).padding_mode(torch::kReflect),
       {{5, 7}, {2, 5}, one, one, {0, 2}, {1, 2}, "reflect"}},
      {"same 3x2, circular",
       conv({3, 2}).padding(torch::kSame).padding_mode(torch::kCircular).bias(false),
       {{4, 3}, {3, 2}, one, one, {1, 0}, one, "circular"}},
      {"reflect, stride 2",
       conv(3).padding(2).stride(2).padding_mode(torch::kReflect),
       {{5, 6}, {3, 3}, two, one, two, two, "reflect"}},
      {"replicate",
       conv({3, 1}).padding({3, 1}).padding_mode(torch::kReplicate).bias(false),
       {{3, 4}, {3, 1}, one, one, {3, 1}, {3, 1}, "replicate"}},
      {"circular, dilated",
       conv({2, 3}).padding({3, 2}).dilation(2).padding_mode(torch::kCircular),
       {{4, 5}, {2, 3}, one, two, {3, 2}, {3, 2}, "circular"}},
      {"two groups", conv(3).padding(1).groups(2), {{4, 5}, {3, 3}, one, one, one, one}},
      {"two groups, strides, dilated, circular",
       conv({3, 2}).padding({1, 2}).stride({1, 2}).dilation({2, 1}).groups(2).padding_mode(
           torch::kCircular),
       {{6, 5}, {3, 2}, {1, 2}, {2, 1}, {1, 2}, {1, 2}, "circular"}},
      {"depthwise",
       torch::nn::Conv2dOptions(4, 8, 3).padding(1).groups(4).bias(false),
       {{5, 4}, {3, 3}, one, one, one, one}},
  };
}

/// The same over one dimension.
inline std::vector<ConvCase<1>> conv1d_cases() {
  const auto conv = [](std::int64_t kernel) { return torch::nn::Conv1dOptions(4, 6, kernel); };
  const Pair one{1, 1}, none{0, 0};
  return {
      {"3", conv(3).padding(1), {{1, 7}, {1, 3}, one, one, {0, 1}, {0, 1}}},
      {"same 4", conv(4).padding(torch::kSame), {{1, 6}, {1, 4}, one, one, {0, 1}, {0, 2}}},
      {"2, stride, dilated, reflect",
       conv(2).stride(2).dilation(3).padding(3).padding_mode(torch::kReflect).bias(false),
       {{1, 6}, {1, 2}, {1, 2}, {1, 3}, {0, 3}, {0, 3}, "reflect"}},
      {"two groups, replicate",
       conv(3).padding(2).groups(2).padding_mode(torch::kReplicate),
       {{1, 5}, {1, 3}, one, one, {0, 2}, {0, 2}, "replicate"}},
      {"valid 5, circular",
       conv(5).padding_mode(torch::kCircular),
       {{1, 8}, {1, 5}, one, one, none, none, "circular"}},
  };
}

/// The decorrelation of a reference, in full.
struct NaiveDecorrelation {
  std::vector<at::Tensor> matrices;  ///< R of each group, or empty for the identity
  at::Tensor mean;                   ///< μ, [C]; undefined for none
  bool channels_only = false;        ///< R mixes the channels of a place
  bool demeaned = false;             ///< the mean is taken away before padding
};

/// `x` with padding, an entry at a time.
inline at::Tensor naive_padded(const at::Tensor& x, const Looks& looks) {
  const std::string mode = looks.mode;
  at::Tensor padded = x;
  for (const int axis : {0, 1}) {
    const std::int64_t size = x.size(2 + axis);
    std::vector<at::Tensor> slices;
    for (std::int64_t at = -looks.before[axis]; at < size + looks.after[axis]; ++at) {
      std::int64_t from = at;
      if (mode == "replicate") from = at < 0 ? 0 : std::min(at, size - 1);
      if (mode == "circular") from = (at + size) % size;
      if (mode == "reflect") from = at < 0 ? -at : (at < size ? at : 2 * size - 2 - at);
      const bool inside = from >= 0 && from < size;
      const at::Tensor slice = padded.narrow(2 + axis, inside ? from : 0, 1);
      slices.push_back(inside ? slice : at::zeros_like(slice));
    }
    padded = at::cat(slices, 2 + axis);
  }
  return padded;
}

/// All patches of `padded` [N, C, H, W]: [N, C, k_h·k_w, positions].
inline at::Tensor naive_patches(const at::Tensor& padded, const Looks& looks) {
  return at::im2col(padded, looks.kernel, looks.dilation, {0, 0}, looks.stride)
      .view({padded.size(0), padded.size(1), looks.kernel[0] * looks.kernel[1], -1});
}

/// What a convolution computes, with every u formed: y = W·R·(x - μ) + b in differentiable steps.
/// `weight` [m, c, k_h, k_w].
inline at::Tensor naive_conv(const at::Tensor& x, const Looks& looks,
                             const NaiveDecorrelation& decorrelation, const at::Tensor& weight,
                             const at::Tensor& bias) {
  const at::Tensor mean =
      decorrelation.mean.defined() ? decorrelation.mean : at::zeros({x.size(1)}, x.options());
  at::Tensor patches;
  if (decorrelation.demeaned) {
    patches = naive_patches(naive_padded(x - mean.view({1, -1, 1, 1}), looks), looks);
  } else {
    patches = naive_patches(naive_padded(x, looks), looks) - mean.view({1, -1, 1, 1});
  }
  const std::int64_t channels = weight.size(1);
  const std::int64_t groups = x.size(1) / channels;
  const std::int64_t outputs = weight.size(0) / groups;
  std::vector<at::Tensor> parts;
  for (std::int64_t i = 0; i < groups; ++i) {
    at::Tensor u = patches.narrow(1, i * channels, channels);
    if (!decorrelation.channels_only) u = u.flatten(1, 2);
    if (!decorrelation.matrices.empty()) {
      const at::Tensor& r = decorrelation.matrices[static_cast<std::size_t>(i)];
      u = at::tensordot(u, r, {1}, {1}).movedim(-1, 1);
    }
    parts.push_back(at::tensordot(u.reshape({x.size(0), -1, patches.size(3)}),
                                  weight.narrow(0, i * outputs, outputs).flatten(1), {1}, {1})
                        .transpose(1, 2));
  }
  at::Tensor output = at::cat(parts, 1);
  if (bias.defined()) output = output + bias.view({-1, 1});
  std::vector<std::int64_t> sizes{output.size(0), output.size(1)};
  for (const int axis : {0, 1})
    sizes.push_back((x.size(2 + axis) + looks.before[axis] + looks.after[axis] -
                     looks.dilation[axis] * (looks.kernel[axis] - 1) - 1) /
                        looks.stride[axis] +
                    1);
  return output.view(sizes);
}

/// Images [N, C, H, W] in float64 whose channels and neighbours are correlated, with means of 1 to
/// C.
inline at::Tensor images(at::IntArrayRef sizes, std::uint64_t stream) {
  const at::Tensor noise = normal(sizes, stream);
  const at::Tensor smooth = noise + noise.roll(1, 3) + noise.roll(1, 2) + noise.roll(1, 1) * 0.5;
  return smooth + at::arange(1, sizes[1] + 1, kFloat64).view({1, -1, 1, 1});
}

}  // namespace decorr::nn
