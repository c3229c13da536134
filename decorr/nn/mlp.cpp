#include "decorr/nn/mlp.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include <utility>

namespace decorr::nn {

MlpImpl::MlpImpl(MlpOptions options_in)
    : options(std::move(options_in)), activation_(nn::activation(options.activation())) {
  reset();
}

void MlpImpl::reset() {
  std::vector<std::int64_t> widths = {options.inputs()};
  widths.insert(widths.end(), options.hidden().begin(), options.hidden().end());
  widths.push_back(options.outputs());

  layers_ = register_module("layers", torch::nn::ModuleList());
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const std::string path = fmt::format("layers.{}", i);
    layers_->push_back(Linear(LinearOptions(widths[i], widths[i + 1])
                                  .bias(options.bias())
                                  .decorrelation(options.decorrelation()(path))
                                  .random(RandomStream(options.seed(), path))
                                  .path(path)));
  }
  if (!options.batch_norm()) return;
  norms_ = register_module("norms", torch::nn::ModuleList());
  for (const std::int64_t width : options.hidden())
    norms_->push_back(torch::nn::BatchNorm1d(width));
}

at::Tensor MlpImpl::forward(const at::Tensor& input) {
  check_argument(
      input.dim() >= 2 && input.size(0) > 0 && input.numel() == input.size(0) * options.inputs(),
      "[Mlp] input must be [N, ..] with {} numbers a sample and N > 0, got [{}]", options.inputs(),
      fmt::join(input.sizes(), ", "));
  const std::size_t hidden = layers_->size() - 1;
  check_argument(!is_training() || norms_.is_empty() || hidden == 0 || input.size(0) > 1,
                 "[Mlp] batch normalization needs two samples in training mode, got [{}]",
                 fmt::join(input.sizes(), ", "));
  const std::size_t activated = options.published_activations() && hidden > 0 ? hidden - 1 : hidden;
  at::Tensor x = input.flatten(1);
  for (std::size_t i = 0; i < layers_->size(); ++i) {
    x = layers_->at<LinearImpl>(i).forward(x);
    if (!norms_.is_empty() && i < hidden) x = norms_->at<torch::nn::BatchNorm1dImpl>(i).forward(x);
    if (i < activated) x = activation_(x);
  }
  return x;
}

std::shared_ptr<Model> MlpImpl::with_decorrelation(const DecorrelationPlan& plan) const {
  return std::make_shared<MlpImpl>(MlpOptions(options).decorrelation(plan));
}

}  // namespace decorr::nn
