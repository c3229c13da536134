#include "decorr/nn/convnet.h"

#include "decorr/core/check.h"
#include "decorr/nn/layer_factory.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include <utility>

namespace decorr::nn {
namespace {

// Whether the output of convolution `index` is pooled.
bool pools_after(std::size_t index) { return index % 2 == 1; }

}  // namespace

ConvNetImpl::ConvNetImpl(ConvNetOptions options_in)
    : options(std::move(options_in)), activation_(nn::activation(options.activation())) {
  options.image().validate("ConvNet");
  check_argument(!options.conv_widths().empty(), "[ConvNet] needs at least one convolution");
  reset();
}

void ConvNetImpl::reset() {
  const LayerFactory factory{options.decorrelation(), options.seed()};
  const std::size_t convolutions = options.conv_widths().size();
  auto [channels, height, width] = options.image();

  convolutions_ = register_module("convolutions", torch::nn::ModuleList());
  for (std::size_t i = 0; i < convolutions; ++i) {
    const std::int64_t output = options.conv_widths()[i];
    convolutions_->push_back(factory.conv2d(
        fmt::format("convolutions.{}", i),
        torch::nn::Conv2dOptions(channels, output, 3).padding(1).bias(options.bias())));
    channels = output;
    if (!pools_after(i)) continue;
    height /= 2;
    width /= 2;
  }
  const std::int64_t least = std::int64_t{1} << (convolutions / 2);
  check_argument(height >= 1 && width >= 1,
                 "[ConvNet] images must be at least {} x {} for {} convolutions, got {} x {}",
                 least, least, convolutions, options.image().height, options.image().width);

  std::vector<std::int64_t> widths = {channels * height * width};
  widths.insert(widths.end(), options.dense_widths().begin(), options.dense_widths().end());
  widths.push_back(options.outputs());
  dense_ = register_module("dense", torch::nn::ModuleList());
  for (std::size_t i = 0; i + 1 < widths.size(); ++i)
    dense_->push_back(factory.linear(fmt::format("dense.{}", i),
                                     LinearOptions(widths[i], widths[i + 1]).bias(options.bias())));
  if (!options.batch_norm()) return;
  convolution_norms_ = register_module("convolution_norms", torch::nn::ModuleList());
  for (const std::int64_t features : options.conv_widths())
    convolution_norms_->push_back(torch::nn::BatchNorm2d(features));
  dense_norms_ = register_module("dense_norms", torch::nn::ModuleList());
  for (const std::int64_t features : options.dense_widths())
    dense_norms_->push_back(torch::nn::BatchNorm1d(features));
}

at::Tensor ConvNetImpl::forward(const at::Tensor& input) {
  options.image().check("ConvNet", input);
  const bool normalizes = !dense_norms_.is_empty();
  check_argument(!is_training() || !normalizes || dense_norms_->is_empty() || input.size(0) > 1,
                 "[ConvNet] batch normalization needs two images in training mode, got [{}]",
                 fmt::join(input.sizes(), ", "));
  at::Tensor x = input;
  for (std::size_t i = 0; i < convolutions_->size(); ++i) {
    x = convolutions_->at<Conv2dImpl>(i).forward(in_fast_layout(x));
    if (normalizes) x = convolution_norms_->at<torch::nn::BatchNorm2dImpl>(i).forward(x);
    x = activation_(x);
    if (pools_after(i)) x = at::max_pool2d(x, 2);
  }
  x = x.flatten(1);
  for (std::size_t i = 0; i < dense_->size(); ++i) {
    x = dense_->at<LinearImpl>(i).forward(x);
    if (i + 1 == dense_->size()) break;
    if (normalizes) x = dense_norms_->at<torch::nn::BatchNorm1dImpl>(i).forward(x);
    x = activation_(x);
  }
  return x;
}

std::shared_ptr<Model> ConvNetImpl::with_decorrelation(const DecorrelationPlan& plan) const {
  return std::make_shared<ConvNetImpl>(ConvNetOptions(options).decorrelation(plan));
}

}  // namespace decorr::nn
