#include "decorr/learning/backprop.h"

#include <ATen/ATen.h>

#include <utility>

namespace decorr::learning {

Backprop::Backprop(Network network, Loss loss)
    : network_(std::move(network)), loss_(std::move(loss)) {}

BatchResult Backprop::accumulate(const at::Tensor& input, const at::Tensor& target, double weight) {
  const at::Tensor logits = network_.forward(input);
  const at::Tensor loss = loss_(logits, target);
  (weight == 1 ? loss : loss * weight).backward();
  return {loss.detach(), logits.detach()};
}

}  // namespace decorr::learning
