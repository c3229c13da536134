#include "decorr/learning/kolen_pollack.h"

#include <ATen/ATen.h>

namespace decorr::learning {

void KolenPollack::step(optim::Optimizer& optimizer, double lr) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> before;  // the weights, where there is a B and they take a step
  for (std::size_t i = 0; i < layers().size(); ++i) {
    const at::Tensor& weights = layers()[i].layer->weights();
    const bool steps = matrices()[i].defined() && weights.grad().defined();
    before.push_back(steps ? weights.clone() : at::Tensor());
  }
  optimizer.step(lr);
  const double decay = lr * optimizer.weight_decay();
  for (std::size_t i = 0; i < layers().size(); ++i) {
    if (!before[i].defined()) continue;
    at::Tensor matrix = matrices()[i];
    // In this order B = W gives W_new to the last bit but one: ΔW + B, and nothing for the decay.
    if (decay > 0) matrix.add_(before[i] - matrix, decay);
    matrix.add_(layers()[i].layer->weights() - before[i]);
  }
}

}  // namespace decorr::learning
