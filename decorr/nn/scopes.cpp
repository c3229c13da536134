#include "decorr/nn/scopes.h"

#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

namespace decorr::nn {
namespace {

// Batch normalization whose forward pass, from now on, leaves its statistics alone.
struct Held {
  torch::nn::BatchNormOptions* options;
  c10::optional<double> momentum;
  at::Tensor counter, count;  // num_batches_tracked, and what it was
};

template <typename Impl>
void hold(torch::nn::Module& module, std::vector<Held>& held) {
  auto* norm = dynamic_cast<Impl*>(&module);
  if (norm == nullptr) return;
  const at::Tensor& counter = norm->num_batches_tracked;
  held.push_back({&norm->options, norm->options.momentum(), counter,
                  counter.defined() ? counter.clone() : at::Tensor()});
  norm->options.momentum(0.0);
}

}  // namespace

EvaluationMode::EvaluationMode(torch::nn::Module& model) {
  for (const auto& module : model.modules(/*include_self=*/true))
    modes_.emplace_back(module, module->is_training());
  model.eval();
}

EvaluationMode::~EvaluationMode() {
  // Parents come first, so that a part in a mode of its own gets that back.
  for (const auto& [module, training] : modes_) module->train(training);
}

struct NoStatistics::Impl {
  std::vector<std::pair<whitening::Decorrelator, bool>> decorrelators;
  std::vector<Held> norms;
};

NoStatistics::NoStatistics(torch::nn::Module& model) : impl_(std::make_unique<Impl>()) {
  for (const LocatedLayer& located : decorrelated_layers(model)) {
    const whitening::Decorrelator& decorrelator = located.layer->decorrelator();
    impl_->decorrelators.emplace_back(decorrelator, decorrelator->paused());
    impl_->decorrelators.back().first->pause(true);
  }
  for (const auto& module : model.modules(/*include_self=*/true)) {
    hold<torch::nn::BatchNorm1dImpl>(*module, impl_->norms);
    hold<torch::nn::BatchNorm2dImpl>(*module, impl_->norms);
    hold<torch::nn::BatchNorm3dImpl>(*module, impl_->norms);
  }
}

NoStatistics::~NoStatistics() {
  for (auto& [decorrelator, paused] : impl_->decorrelators) decorrelator->pause(paused);
  const at::NoGradGuard no_grad;
  for (Held& held : impl_->norms) {
    held.options->momentum(held.momentum);
    if (held.counter.defined()) held.counter.copy_(held.count);
  }
}

}  // namespace decorr::nn
