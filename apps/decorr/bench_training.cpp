#include "apps/decorr/bench_training.h"

#include "decorr/nn/update.h"
#include "decorr/train/setup.h"

#include <ATen/ATen.h>

#include "apps/decorr/bench_timing.h"
#include <cstddef>

namespace decorr::bench {

Training::Training(const train::Config& config, const data::Dataset& dataset)
    : lr_(config.optimizer.lr),
      model_(train::make_model(config, dataset)),
      optimizer_(train::make_optimizer(config.optimizer, *model_)),
      rule_(train::make_learning_rule(config, model_, learning::Loss(config.learning.loss),
                                      dataset)) {}

TimedStep Training::step(const data::Batch& batch) {
  TimedStep result;
  result.passes = seconds([&] {
    optimizer_->zero_grad();
    result.loss = rule_->accumulate(batch.input, batch.target).loss.item<double>();
  });
  result.optimizer = seconds([&] { rule_->step(*optimizer_, lr_); });
  result.update = seconds([&] {
    for (const nn::LayerUpdate& layer : nn::update(*model_, *optimizer_))
      if (layer.report.outcome == whitening::UpdateReport::Outcome::kSkipped) ++result.skipped;
  });
  return result;
}

double plain_flops(nn::Model& model, const at::Tensor& input) {
  const at::NoGradGuard no_grad;
  const auto layers = nn::decorrelated_layers(model);
  double flops = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    nn::DecorrelatedLayer& layer = *layers[i].layer;
    const int products = i == 0 ? 2 : 3;  // nothing wants the gradient of the network's input
    nn::LayerHooks hooks;
    hooks.output = [&flops, &layer, products](const at::Tensor& output) {
      flops += products * 2.0 * static_cast<double>(output.numel()) *
               static_cast<double>(layer.weights()[0].numel());
      return output;
    };
    layer.set_hooks(hooks);
  }
  model.eval();  // so that no Decorrelator takes a sample
  model.forward(input);
  model.train();
  for (const nn::LocatedLayer& located : layers) located.layer->set_hooks({});
  return flops;
}

}  // namespace decorr::bench
