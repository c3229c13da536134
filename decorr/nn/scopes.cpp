#include "decorr/nn/scopes.h"

#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/nn/functional/instancenorm.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/instancenorm.h>

#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace decorr::nn {
namespace {

// Running statistics, each with what it was.
using HeldStatistics = std::vector<std::pair<at::Tensor, at::Tensor>>;

template <typename Norm>
void hold(torch::nn::Module& module, HeldStatistics& held) {
  auto* norm = dynamic_cast<Norm*>(&module);
  if (norm == nullptr) return;
  for (const at::Tensor& statistic :
       {norm->running_mean, norm->running_var, norm->num_batches_tracked})
    if (statistic.defined()) held.emplace_back(statistic, statistic.clone());
}

template <typename... Norms>
void hold_any(torch::nn::Module& module, HeldStatistics& held) {
  (hold<Norms>(module, held), ...);
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
  HeldStatistics statistics;
};

NoStatistics::NoStatistics(torch::nn::Module& model) : impl_(std::make_unique<Impl>()) {
  for (const LocatedLayer& located : decorrelated_layers(model)) {
    const whitening::Decorrelator& decorrelator = located.layer->decorrelator();
    impl_->decorrelators.emplace_back(decorrelator, decorrelator->paused());
    impl_->decorrelators.back().first->pause(true);
  }
  std::set<const torch::nn::Module*> seen;
  for (const auto& module : model.modules(/*include_self=*/true))
    if (seen.insert(module.get()).second)
      hold_any<torch::nn::BatchNorm1dImpl, torch::nn::BatchNorm2dImpl, torch::nn::BatchNorm3dImpl,
               torch::nn::InstanceNorm1dImpl, torch::nn::InstanceNorm2dImpl,
               torch::nn::InstanceNorm3dImpl>(*module, impl_->statistics);
}

NoStatistics::~NoStatistics() {
  // Last first, so that a part that occurs twice ends as it began.
  for (auto entry = impl_->decorrelators.rbegin(); entry != impl_->decorrelators.rend(); ++entry)
    entry->first->pause(entry->second);
  const at::NoGradGuard no_grad;
  for (auto& [statistic, value] : impl_->statistics) statistic.copy_(value);
}

ReplayedDraws::ReplayedDraws(const torch::nn::Module& model)
    : generator_(at::globalContext().defaultGenerator(
          model.parameters().empty() ? at::Device(at::kCPU) : model.parameters()[0].device())),
      state_(generator_.get_state()) {}

void ReplayedDraws::rewind() {
  const std::lock_guard<std::mutex> lock(generator_.mutex());
  generator_.set_state(state_);
}

}  // namespace decorr::nn
