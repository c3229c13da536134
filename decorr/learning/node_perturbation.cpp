#include "decorr/learning/node_perturbation.h"

#include "decorr/core/check.h"
#include "decorr/nn/scopes.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

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
                                             const std::vector<at::Tensor>& noise, bool clean) {
  Pass pass;
  HookScope hooks;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    nn::LayerHooks hook;
    hook.kept = kept_[i];
    hook.keep = clean;
    hook.input = [&, i](const at::Tensor& x) {
      check_argument(x.dim() > 0 && x.size(0) == input.size(0),
                     "[node-perturbation] {} must read [{}, ..], a row a sample, got [{}]",
                     paths_[i], input.size(0), fmt::join(x.sizes(), ", "));
      Call call{i, {}, 0, {}, {}};
      if (clean) {
        call.input = x;
        call.version = x._version();
      }
      pass.calls.push_back(std::move(call));
      return x;
    };
    hook.output = [&](const at::Tensor& a) {
      const std::size_t index = pass.calls.size() - 1;
      Call& call = pass.calls.back();
      const at::Tensor result =
          index < noise.size() && noise[index].defined() ? a + noise[index] : a;
      call.sizes = result.sizes().vec();
      // A copy: an activation may work in place.
      if (options_.variant == "activity-based") call.output = result.clone();
      return result;
    };
    hooks.set(*layers_[i], std::move(hook));
  }
  pass.logits = network_.forward(input);
  return pass;
}

// Learns from the passes with `noise`, ξ of each call, and, if it is there, with its negative.
void NodePerturbation::learn(const Pass& clean, const Pass& above, const Pass* below,
                             const at::Tensor& target, double weight,
                             const std::vector<at::Tensor>& noise) {
  const Pass& from = below != nullptr ? *below : clean;
  const double half = below != nullptr ? 0.5 : 1;
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
  factors = factors * (weight / static_cast<double>(target.size(0)));
  HookScope hooks;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    nn::LayerHooks hook;
    hook.kept = kept_[i];
    hooks.set(*layers_[i], std::move(hook));
  }
  for (std::size_t i = 0; i < clean.calls.size(); ++i) {
    const Call& call = clean.calls[i];
    if (!directions[i].defined()) continue;
    check_argument(call.input._version() == call.version,
                   "[node-perturbation] what {} read was changed in place afterwards: learn from a "
                   "copy",
                   paths_[call.layer]);
    layers_[call.layer]->accumulate_gradient(call.input, scaled(directions[i], factors));
  }
}

BatchResult NodePerturbation::accumulate(const at::Tensor& input, const at::Tensor& target,
                                         double weight) {
  const at::NoGradGuard no_grad;
  check_precise(network_, "node-perturbation");
  const RandomStream draw = random_.at(static_cast<std::uint64_t>(batches_.item<std::int64_t>()));
  batches_.add_(1);
  // What the clean pass makes of a layer's input serves its gradient too, and the first layer of
  // the other passes.
  kept_.clear();
  for (std::size_t i = 0; i < layers_.size(); ++i)
    kept_.push_back(std::make_shared<nn::KeptRead>());
  nn::ReplayedDraws draws(*network_.module);  // the same dropout in every pass
  const Pass clean = run(input, {}, true);
  const at::Tensor loss = loss_(clean.logits, target);

  std::vector<at::Tensor> noise;
  for (std::size_t i = 0; i < clean.calls.size(); ++i)
    noise.push_back(
        draw.at(i).normal(clean.calls[i].sizes, clean.logits.options()).mul_(options_.sigma));
  const nn::NoStatistics no_statistics(*network_.module);
  const auto learn_from = [&](const std::vector<at::Tensor>& part) {
    const auto pass = [&](bool negative) {
      std::vector<at::Tensor> signed_part = part;
      if (negative)
        for (at::Tensor& own : signed_part)
          if (own.defined()) own = -own;
      draws.rewind();
      return run(input, signed_part, false);
    };
    const Pass above = pass(false);
    if (options_.antithetic) {
      const Pass below = pass(true);
      learn(clean, above, &below, target, weight, part);
    } else {
      learn(clean, above, nullptr, target, weight, part);
    }
  };
  if (options_.variant != "iterative") {
    learn_from(noise);
  } else {
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      std::vector<at::Tensor> alone(noise.size());
      for (std::size_t i = 0; i < noise.size(); ++i)
        if (clean.calls[i].layer == layer) alone[i] = noise[i];
      learn_from(alone);
    }
  }
  kept_.clear();
  return {loss, clean.logits};
}

}  // namespace decorr::learning
