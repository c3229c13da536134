#include "decorr/learning/feedback.h"

#include "decorr/core/random.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace decorr::learning {

double root_mean_square(const at::Tensor& weights) {
  const at::NoGradGuard no_grad;
  const double value = std::sqrt(weights.to(at::kDouble).square().mean().item<double>());
  if (value > 0) return value;
  const std::int64_t inputs = weights.numel() / weights.size(0);
  return 1 / std::sqrt(3.0 * static_cast<double>(inputs));  // uniform in ±1/√n
}

at::Tensor random_matrix(at::IntArrayRef sizes, const at::Tensor& like, const std::string& init,
                         double scale, const RandomStream& random) {
  const at::NoGradGuard no_grad;
  const at::TensorOptions options = like.options().requires_grad(false);
  if (init == "normal") return random.normal(sizes, options).mul_(scale);
  const double bound = scale * std::sqrt(3.0);
  return random.uniform(sizes, -bound, bound, options);
}

BatchResult accumulate_through(const std::vector<at::Tensor>& matrices,
                               const std::vector<TracedLayer>& layers, const Network& network,
                               const Loss& loss, const at::Tensor& input, const at::Tensor& target,
                               double weight, const std::string& rule) {
  HookScope hooks;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    nn::LayerHooks hook;
    hook.feedback = matrices[i];
    if (!input.requires_grad())
      hook.input = [&, i](const at::Tensor& x) {
        check_reads_data(layers[i], x, rule);
        return x;
      };
    hooks.set(*layers[i].layer, std::move(hook));
  }
  const at::Tensor logits = network.forward(input);
  const at::Tensor value = loss(logits, target);
  (weight * value).backward();
  return {value.detach(), logits.detach()};
}

std::map<std::string, at::Tensor> by_path(const std::vector<TracedLayer>& layers,
                                          const std::vector<at::Tensor>& tensors,
                                          const std::string& name) {
  std::map<std::string, at::Tensor> result;
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (tensors[i].defined()) result.emplace(layers[i].path + "." + name, tensors[i]);
  return result;
}

std::size_t index_of(const std::vector<TracedLayer>& layers, const std::string& path) {
  const auto found = std::find_if(layers.begin(), layers.end(),
                                  [&](const TracedLayer& traced) { return traced.path == path; });
  return static_cast<std::size_t>(found - layers.begin());
}

}  // namespace decorr::learning
