#include "decorr/nn/resnet.h"

#include "decorr/core/check.h"
#include "decorr/nn/image.h"
#include "decorr/nn/layer_factory.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace decorr::nn {
namespace {

constexpr std::int64_t kBlocks = 8, kBlocksInStage = 2;

// Builds the convolutions of a network, with biases only where no batch normalization follows.
struct ConvFactory {
  LayerFactory layers;
  bool batch_norm;

  // A k×k convolution that keeps height and width but for the stride, with weights of variance
  // scale²·2/n.
  Conv2d conv(const std::string& path, std::int64_t inputs, std::int64_t outputs, std::int64_t k,
              std::int64_t stride, double scale) const {
    Conv2d conv = layers.conv2d(path, torch::nn::Conv2dOptions(inputs, outputs, k)
                                          .stride(stride)
                                          .padding(k / 2)
                                          .bias(!batch_norm));
    const at::NoGradGuard no_grad;
    const double deviation = scale * std::sqrt(2 / static_cast<double>(inputs * k * k));
    conv->weight.copy_(RandomStream(layers.seed, path)
                           .at(0)
                           .normal(conv->weight.sizes(), at::TensorOptions())
                           .mul_(deviation));
    if (conv->bias.defined()) conv->bias.zero_();
    return conv;
  }
};

// relu(F(x) + S(x)), as ResNet18 describes it.
class BasicBlockImpl : public torch::nn::Cloneable<BasicBlockImpl> {
 public:
  BasicBlockImpl(ConvFactory factory, std::string path, std::int64_t inputs, std::int64_t outputs,
                 std::int64_t stride)
      : factory_(std::move(factory)),
        path_(std::move(path)),
        inputs_(inputs),
        outputs_(outputs),
        stride_(stride) {
    reset();
  }

  void reset() override {
    const bool norm = factory_.batch_norm;
    const double first = norm ? 1 : 1 / std::sqrt(static_cast<double>(kBlocks));
    const auto add_norm = [&](const char* name) {
      return norm ? register_module(name, torch::nn::BatchNorm2d(outputs_)) : nullptr;
    };
    conv1_ = register_module("conv1",
                             factory_.conv(path_ + ".conv1", inputs_, outputs_, 3, stride_, first));
    norm1_ = add_norm("norm1");
    conv2_ = register_module(
        "conv2", factory_.conv(path_ + ".conv2", outputs_, outputs_, 3, 1, norm ? 1 : 0));
    norm2_ = add_norm("norm2");
    if (stride_ == 1 && inputs_ == outputs_) return;
    shortcut_ = register_module(
        "shortcut", factory_.conv(path_ + ".shortcut", inputs_, outputs_, 1, stride_, 1));
    shortcut_norm_ = add_norm("shortcut_norm");
  }

  at::Tensor forward(const at::Tensor& input) {
    const auto normalized = [](torch::nn::BatchNorm2d& norm, const at::Tensor& x) {
      return norm ? norm->forward(x) : x;
    };
    const at::Tensor hidden = at::relu(normalized(norm1_, conv1_->forward(input)));
    const at::Tensor residual = normalized(norm2_, conv2_->forward(hidden));
    const at::Tensor kept =
        shortcut_ ? normalized(shortcut_norm_, shortcut_->forward(input)) : input;
    return at::relu(residual + kept);
  }

 private:
  ConvFactory factory_;
  std::string path_;
  std::int64_t inputs_, outputs_, stride_;
  Conv2d conv1_{nullptr}, conv2_{nullptr}, shortcut_{nullptr};
  torch::nn::BatchNorm2d norm1_{nullptr}, norm2_{nullptr}, shortcut_norm_{nullptr};
};

}  // namespace

ResNet18Impl::ResNet18Impl(ResNet18Options options_in) : options(std::move(options_in)) {
  check_argument(options.width() >= 1, "[ResNet18] width must be at least 1, got {}",
                 options.width());
  reset();
}

void ResNet18Impl::reset() {
  const ConvFactory factory{{options.decorrelation(), options.seed()}, options.batch_norm()};
  std::int64_t width = options.width();
  stem_ = register_module("stem", factory.conv("stem", options.channels(), width, 3, 1, 1));
  if (options.batch_norm())
    stem_norm_ = register_module("stem_norm", torch::nn::BatchNorm2d(width));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    const bool widens = i > 0 && i % kBlocksInStage == 0;
    const std::int64_t inputs = width;
    if (widens) width *= 2;
    blocks_->push_back(std::make_shared<BasicBlockImpl>(factory, fmt::format("blocks.{}", i),
                                                        inputs, width, widens ? 2 : 1));
  }
  head_ = register_module("head", factory.layers.linear("head", {width, options.outputs()}));
}

at::Tensor ResNet18Impl::forward(const at::Tensor& input) {
  check_argument(input.dim() == 4 && input.numel() > 0 && input.size(1) == options.channels(),
                 "[ResNet18] input must be [N, {}, H, W] and not empty, got [{}]",
                 options.channels(), fmt::join(input.sizes(), ", "));
  check_argument(!is_training() || !options.batch_norm() || input.size(0) > 1 ||
                     std::max(input.size(2), input.size(3)) > kStride,
                 "[ResNet18] batch normalization needs two images of at most 8 x 8, got [{}]",
                 fmt::join(input.sizes(), ", "));
  at::Tensor x = stem_->forward(in_fast_layout(input));
  if (stem_norm_) x = stem_norm_->forward(x);
  x = in_fast_layout(at::relu(x));
  for (const std::shared_ptr<torch::nn::Module>& block : *blocks_)
    x = block->as<BasicBlockImpl>()->forward(x);
  return head_->forward(x.mean({2, 3}));
}

std::shared_ptr<Model> ResNet18Impl::with_decorrelation(const DecorrelationPlan& plan) const {
  return std::make_shared<ResNet18Impl>(ResNet18Options(options).decorrelation(plan));
}

}  // namespace decorr::nn
