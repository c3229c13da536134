#pragma once

#include "decorr/core/random.h"
#include "decorr/nn/conv_geometry.h"
#include "decorr/nn/decorrelated_layer.h"
#include "decorr/whitening/decorrelator.h"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/options/conv.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace decorr::nn {

/// Options of a decorrelated convolution over D dimensions: those of LibTorch's, and how the input
/// is decorrelated.
template <std::size_t D>
struct ConvOptions {
  ConvOptions(torch::nn::ConvOptions<D> conv)  // NOLINT: meant to be implicit
      : conv_(std::move(conv)) {}
  ConvOptions(std::int64_t in_channels, std::int64_t out_channels,
              torch::ExpandingArray<D> kernel_size)
      : conv_(in_channels, out_channels, kernel_size) {}

  /// Channels, kernel, stride, padding, dilation, groups, bias and padding mode.
  TORCH_ARG(torch::nn::ConvOptions<D>, conv);
  /// How the input is decorrelated; method `none` makes this a plain convolution.
  TORCH_ARG(whitening::DecorrelatorOptions, decorrelation);
  /// Draws the initial weights and whatever the decorrelation samples.
  TORCH_ARG(RandomStream, random) = RandomStream(0, "conv");
  /// Where the layer is in its model (`convolutions.0`), for messages; empty if that is not known.
  TORCH_ARG(std::string, path) = "";
};

using Conv1dOptions = ConvOptions<1>;
using Conv2dOptions = ConvOptions<2>;

/// A convolution that reads decorrelated input: each patch x under the kernel becomes u = R(x - μ)
/// before the weights see it, y = W·u + b.
///
/// R mixes the features of a patch (`structure` channel: its channels, the same at every place),
/// one R for each group; μ has one number a channel. R is folded into the kernel, W' = W·R, so that
/// u is never formed. With `pad` raw, zero padding is padded first and centred then, which makes y
/// = conv(x, W') + b - ΣW'μ exact everywhere; with `pad` demeaned the centred input is padded, and
/// when μ moves, function preservation is exact away from the border only. The Decorrelator gathers
/// the patches that it samples and nothing else.
///
/// W [m, c/groups, k..] and b [m] start uniform in ±1/√(c/groups·k) (LibTorch's convolution). After
/// each optimizer step call decorr::nn::update(model).
template <std::size_t D, typename Derived>
class ConvImpl : public torch::nn::Cloneable<Derived>, public DecorrelatedLayer {
 public:
  /// Throws `std::invalid_argument` for channels, sizes or strides below 1, groups that do not
  /// divide the channels, negative padding, `same` padding with a stride, or decorrelation options
  /// that do not validate.
  explicit ConvImpl(ConvOptions<D> options);

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  /// Maps `input` [N, c, spatial..] (or one sample, [c, spatial..]) to [N, m, spatial'..] as
  /// LibTorch's convolution does. Throws `std::invalid_argument` for an empty batch, another rank,
  /// type or number of channels, or an input that is too small for the kernel or its padding;
  /// nothing of it is cached then.
  at::Tensor forward(const at::Tensor& input);

  whitening::Decorrelator& decorrelator() override { return decorrelator_; }
  const at::Tensor& weights() const override { return weight; }
  at::Tensor from_input(const at::Tensor& matrix) override;
  void accumulate_gradient(const at::Tensor& input, const at::Tensor& error) override;
  using DecorrelatedLayer::readouts;
  std::vector<whitening::Readout> readouts(const MomentsOf& moments) override;

  /// Where the kernel looks; for one dimension the height is 1.
  const ConvGeometry& geometry() const { return geometry_; }

  /// Whether a moving mean cannot be folded into the bias: zero padding after the mean is taken
  /// away.
  bool centres_before_padding() const;

  /// The kernel W' = W·R, [m, c/groups, k..], differentiable in W; W itself for `none`.
  at::Tensor effective_weight() const;

  ConvOptions<D> options;
  at::Tensor weight;       ///< W, [m, c/groups, k..], in the basis of u
  at::Tensor bias;         ///< b, [m], or undefined
  at::Tensor bias_offset;  ///< [m] if there is a Decorrelator and no bias, or from fold()
  /// [c], from fold() of a layer that centres before padding: taken away from the input, before all
  /// else. Undefined in any other layer.
  at::Tensor input_mean;

 private:
  struct Seen;

  Seen seen(const at::Tensor& input) const;
  at::Tensor folded(const at::Tensor& matrix) const;
  at::Tensor checked(const at::Tensor& input) const;
  bool channels_only() const;
  bool rounds_decorrelation() const;
  ConvGeometry rows_geometry() const;
  void show_rows(const at::Tensor& input);

  std::string name_;  // Conv1d or Conv2d, with the path: for messages
  ConvGeometry geometry_;
  whitening::Decorrelator decorrelator_{nullptr};
};

/// ConvImpl over one dimension: input [N, c, L].
class Conv1dImpl : public ConvImpl<1, Conv1dImpl> {
 public:
  using ConvImpl<1, Conv1dImpl>::ConvImpl;
};
TORCH_MODULE(Conv1d);

/// ConvImpl over two dimensions: input [N, c, H, W].
class Conv2dImpl : public ConvImpl<2, Conv2dImpl> {
 public:
  using ConvImpl<2, Conv2dImpl>::ConvImpl;
};
TORCH_MODULE(Conv2d);

}  // namespace decorr::nn
