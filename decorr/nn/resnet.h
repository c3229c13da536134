#pragma once

#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>

namespace decorr::nn {

/// Options of ResNet18.
struct ResNet18Options {
  ResNet18Options(std::int64_t channels, std::int64_t outputs)
      : channels_(channels), outputs_(outputs) {}

  /// Channels of the images.
  TORCH_ARG(std::int64_t, channels);
  /// Number of outputs (classes).
  TORCH_ARG(std::int64_t, outputs);
  /// Channels w of the first stage; the four stages have w, 2w, 4w and 8w.
  TORCH_ARG(std::int64_t, width) = 64;
  /// Batch normalization after each convolution; without it the convolutions have biases.
  TORCH_ARG(bool, batch_norm) = true;
  /// Decorrelation of each layer, asked with the paths `stem`, `blocks.0.conv1`, `blocks.0.conv2`,
  /// …, `blocks.2.shortcut`, …, `head`.
  TORCH_ARG(DecorrelationPlan, decorrelation) = everywhere();
  /// Seed of the initial weights and of whatever the layers draw.
  TORCH_ARG(std::uint64_t, seed) = 0;
};

/// Residual network of 18 layers with a stem for small images: a 3×3 convolution of stride 1 and no
/// max-pooling, eight basic blocks in four stages (the first block of stages 2 to 4 has stride 2),
/// the mean over the image, a linear layer. He et al., *Deep Residual Learning for Image
/// Recognition*, CVPR 2016.
///
/// A block computes relu(F(x) + S(x)) with F two 3×3 convolutions and S the identity, or a 1×1
/// convolution where the shape changes. All convolutions are decorrelated, the 1×1 ones too. Their
/// weights start normal with variance 2/n (He et al., ICCV 2015), n = C_in·k². Without batch
/// normalization the first convolution of each block starts 1/√8 times that and the second at zero,
/// so that the network starts as its shortcuts and its activity keeps its size (Zhang, Dauphin, Ma,
/// *Fixup Initialization*, ICLR 2019); convolution biases start at zero.
///
/// The widest layers have n = 72·width features: at width 64 their R has 4608² numbers, folding it
/// into a kernel takes 2·512·n² FLOP, and an update 4·s·n². DecorrelatorOptions::max_samples bounds
/// s (a tenth of the patches, if it is 0, makes thousands of rows); `structure` channel has n =
/// 8·width.
class ResNet18Impl : public torch::nn::Cloneable<ResNet18Impl>, public Model {
 public:
  /// Throws `std::invalid_argument` for channels, outputs or a width below 1.
  explicit ResNet18Impl(ResNet18Options options);

  void reset() override;

  /// Maps images [N, C, H, W] of any height and width to [N, outputs]. With batch normalization in
  /// training mode throws `std::invalid_argument` if the last stage sees a single pixel (one image
  /// of at most 8×8), of which there is no variance.
  at::Tensor forward(const at::Tensor& input) override;

  std::shared_ptr<Model> with_decorrelation(const DecorrelationPlan& plan) const override;

  /// Pixels a side that one pixel of the last stage stands for.
  static constexpr std::int64_t kStride = 8;

  ResNet18Options options;

 private:
  Conv2d stem_{nullptr};
  torch::nn::BatchNorm2d stem_norm_{nullptr};
  torch::nn::ModuleList blocks_;
  Linear head_{nullptr};
};

TORCH_MODULE(ResNet18);

}  // namespace decorr::nn
