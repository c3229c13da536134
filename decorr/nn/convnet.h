#pragma once

#include "decorr/nn/activation.h"
#include "decorr/nn/image.h"
#include "decorr/nn/model.h"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace decorr::nn {

/// Options of ConvNet.
struct ConvNetOptions {
  ConvNetOptions(ImageShape image, std::int64_t outputs) : image_(image), outputs_(outputs) {}

  /// Size of the images; each pair of convolutions halves height and width (rounded down).
  TORCH_ARG(ImageShape, image);
  /// Number of outputs (classes).
  TORCH_ARG(std::int64_t, outputs);
  /// Channels that the convolutions give; at least one convolution.
  TORCH_ARG(std::vector<std::int64_t>, conv_widths) = {32, 32, 64, 64};
  /// Widths of the hidden dense layers behind them; may be empty.
  TORCH_ARG(std::vector<std::int64_t>, dense_widths) = {1000};
  /// Activation after every layer but the last; one of activations().
  TORCH_ARG(std::string, activation) = "leaky-relu";
  /// Batch normalization between each layer but the last and its activation, as modules
  /// `convolution_norms.0`, … and `dense_norms.0`, …
  TORCH_ARG(bool, batch_norm) = false;
  /// Whether the layers have biases.
  TORCH_ARG(bool, bias) = true;
  /// Decorrelation of each layer, asked with the paths `convolutions.0`, …, `dense.0`, …
  TORCH_ARG(DecorrelationPlan, decorrelation) = everywhere();
  /// Seed of the initial weights and of whatever the layers draw.
  TORCH_ARG(std::uint64_t, seed) = 0;
};

/// The convolutional network of CRGD: convolutions, dense layers, an activation after each but the
/// last, and 2×2 max-pooling after every second convolution.
///
/// From the authors' code are the kernels (3×3, stride 1, zero padding 1), the four convolutions of
/// 32, 32, 64 and 64 channels, the pooling, the hidden layer of 1000 units and the leaky ReLU.
/// Other than theirs are that images may have any number of channels (theirs need 3) and that
/// widths can be chosen.
class ConvNetImpl : public torch::nn::Cloneable<ConvNetImpl>, public Model {
 public:
  /// Throws `std::invalid_argument` for widths below 1, no convolution, an unknown activation, or
  /// images that the pooling leaves nothing of.
  explicit ConvNetImpl(ConvNetOptions options);

  void reset() override;

  /// Maps images [N, C, H, W] to [N, outputs]. Batch normalization in front of a dense layer needs
  /// N > 1 in training mode.
  at::Tensor forward(const at::Tensor& input) override;

  std::shared_ptr<Model> with_decorrelation(const DecorrelationPlan& plan) const override;

  ConvNetOptions options;

 private:
  Activation activation_;
  torch::nn::ModuleList convolutions_, dense_;
  // Without batch normalization there are none.
  torch::nn::ModuleList convolution_norms_{nullptr}, dense_norms_{nullptr};
};

TORCH_MODULE(ConvNet);

}  // namespace decorr::nn
