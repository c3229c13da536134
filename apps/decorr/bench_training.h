#pragma once

#include "decorr/data/dataset.h"
#include "decorr/data/prefetch.h"
#include "decorr/learning/rule.h"
#include "decorr/nn/model.h"
#include "decorr/optim/optimizer.h"
#include "decorr/train/config.h"

#include <memory>

namespace decorr::bench {

/// One training step: its seconds by phase, and what came of it.
struct TimedStep {
  double passes = 0;     ///< forward and backward pass and the loss
  double optimizer = 0;  ///< step of the optimizer
  double update = 0;     ///< decorr::update()
  double loss = 0;       ///< mean loss of the batch
  int skipped = 0;       ///< layers whose R was not updated although it was due

  double seconds() const { return passes + optimizer + update; }
};

/// A network in training whose steps are timed; the step is that of `decorr train`.
class Training {
 public:
  /// Throws as train::make_model() and train::make_learning_rule() do.
  Training(const train::Config& config, const data::Dataset& dataset);

  TimedStep step(const data::Batch& batch);

  nn::Model& model() { return *model_; }

 private:
  double lr_;
  std::shared_ptr<nn::Model> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<learning::Rule> rule_;
};

/// Floating-point operations of the products and convolutions in forward and backward pass of
/// `model` without decorrelation for the batch `input`: for a dense layer 6Nnm (forward, gradients
/// of weights and input), for the first one 4Nnm; the same for convolutions, N counting places too.
double plain_flops(nn::Model& model, const at::Tensor& input);

}  // namespace decorr::bench
