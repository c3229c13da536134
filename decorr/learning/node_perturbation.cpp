#include "decorr/learning/node_perturbation.h"

#include "decorr/core/check.h"
#include "decorr/nn/scopes.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include <optional>
#include <utility>

namespace decorr::learning {
namespace {

// `factors` [N], one a sample, times `tensor` [N, ..].
at::Tensor scaled(const at::Tensor& tensor, const at::Tensor& factors) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(tensor.dim()), 1);
  sizes.front() = tensor.size(0);
  return tensor * factors.to(tensor.scalar_type()).view(sizes);
}

}  // namespace

NodePerturbation::NodePerturbation(Network network, Loss loss, const RuleOptions& options)
    : network_(std::move(network)),
      loss_(std::move(loss)),
      options_(options),
      random_(options.seed, "node perturbation"),
      batches_(at::zeros({}, at::kLong)) {
  options_.validate();
  check_perturbable(network_, "node-perturbation");
  for (const auto& [path, layer] : nn::decorrelated_layers(*network_.module)) {
    paths_.push_back(path);
    layers_.push_back(layer);
  }
}

// One pass, with noise[i] on the output of the i-th call of a layer, if it is defined.
NodePerturbation::Pass NodePerturbation::run(const at::Tensor& input,
                                             const std::vector<at::Tensor>& noise) {
  Pass pass;
  HookScope hooks;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    nn::LayerHooks hook;
    hook.input = [&, i](const at::Tensor& x) {
      check_argument(x.dim() > 0 && x.size(0) == input.size(0),
                     "[node-perturbation] {} must read [{}, ..], a row a sample, got [{}]",
                     paths_[i], input.size(0), fmt::join(x.sizes(), ", "));
      pass.calls.push_back({i, x, {}});
      return x;
    };
    hook.output = [&](const at::Tensor& a) {
      const std::size_t index = pass.calls.size() - 1;
      const at::Tensor& own = index < noise.size() ? noise[index] : at::Tensor();
      return pass.calls.back().output = own.defined() ? a + own : a;
    };
    hooks.set(*layers_[i], std::move(hook));
  }
  pass.logits = network_.forward(input);
  return pass;
}

// Learns from passes with `noise`, ξ of each call, and with its negative if antithetic.
void NodePerturbation::learn(const Pass& clean, const at::Tensor& input, const at::Tensor& target,
                             double weight, const std::vector<at::Tensor>& noise) {
  const nn::NoStatistics no_statistics(*network_.module);
  const Pass above = run(input, noise);
  std::optional<Pass> below;
  if (options_.antithetic) {
    std::vector<at::Tensor> negative;
    for (const at::Tensor& own : noise) negative.push_back(own.defined() ? -own : own);
    below = run(input, negative);
  }
  const Pass& from = below ? *below : clean;
  const double half = below ? 0.5 : 1;
  at::Tensor factors = half * loss_.difference(from.logits, above.logits, target);  // [N], float64

  std::vector<at::Tensor> directions = noise;  // ξ or δa
  if (options_.variant == "activity-based") {
    at::Tensor squares = at::zeros_like(factors);
    std::int64_t nodes = 0;
    for (std::size_t i = 0; i < clean.calls.size(); ++i) {
      directions[i] = half * (above.calls[i].output - from.calls[i].output);
      squares += directions[i].flatten(1).to(at::kDouble).square().sum(1);
      nodes += directions[i][0].numel();
    }
    factors = at::where(squares > 0, static_cast<double>(nodes) * factors / squares, squares);
  } else {
    factors = factors / (options_.sigma * options_.sigma);
  }
  factors = factors * (weight / static_cast<double>(input.size(0)));
  for (std::size_t i = 0; i < clean.calls.size(); ++i)
    if (directions[i].defined())
      layers_[clean.calls[i].layer]->accumulate_gradient(clean.calls[i].input,
                                                         scaled(directions[i], factors));
}

BatchResult NodePerturbation::accumulate(const at::Tensor& input, const at::Tensor& target,
                                         double weight) {
  const at::NoGradGuard no_grad;
  const RandomStream draw = random_.at(static_cast<std::uint64_t>(batches_.item<std::int64_t>()));
  batches_.add_(1);
  const Pass clean = run(input, {});
  const at::Tensor loss = loss_(clean.logits, target);

  std::vector<at::Tensor> noise;
  for (std::size_t i = 0; i < clean.calls.size(); ++i) {
    const at::Tensor& output = clean.calls[i].output;
    noise.push_back(draw.at(i).normal(output.sizes(), output.options()).mul_(options_.sigma));
  }
  if (options_.variant != "iterative") {
    learn(clean, input, target, weight, noise);
  } else {
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      std::vector<at::Tensor> alone(noise.size());
      for (std::size_t i = 0; i < noise.size(); ++i)
        if (clean.calls[i].layer == layer) alone[i] = noise[i];
      learn(clean, input, target, weight, alone);
    }
  }
  return {loss, clean.logits};
}

}  // namespace decorr::learning
