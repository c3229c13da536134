#include "decorr/learning/layers.h"

#include "decorr/core/check.h"
#include "decorr/linalg/precision.h"
#include "decorr/nn/scopes.h"
#include "decorr/nn/transformer.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <c10/util/Type.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <set>
#include <typeinfo>
#include <utility>

namespace decorr::learning {
namespace {

template <typename... Types>
bool is_any_of(const torch::nn::Module& module) {
  return (... || (dynamic_cast<const Types*>(&module) != nullptr));
}

// Whether errors go back through a matrix of the module's own. A decorrelated layer's matrix is the
// rule's business, and what is added (the Transformer's positions), multiplied elementwise or
// looked up is no matrix.
bool sends_error_through_weights(const torch::nn::Module& module) {
  if (is_any_of<nn::DecorrelatedLayer, nn::TransformerImpl, torch::nn::LayerNormImpl,
                torch::nn::GroupNormImpl, torch::nn::EmbeddingImpl>(module))
    return false;
  const auto own = module.parameters(/*recurse=*/false);
  return std::any_of(own.begin(), own.end(), [](const at::Tensor& p) { return p.dim() >= 2; });
}

std::string shown(const std::string& path) { return path.empty() ? "the model itself" : path; }

}  // namespace

std::vector<TracedLayer> trace_layers(const Network& network, const at::Tensor& example,
                                      const std::string& rule) {
  check_argument(example.defined() && example.numel() > 0,
                 "[{}] needs an example of the network's input, [N, ..]: pass a batch", rule);
  std::vector<TracedLayer> order;
  HookScope hooks;
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*network.module)) {
    nn::LayerHooks hook;
    hook.input = [&order, located](const at::Tensor& input) {
      const auto known = std::find_if(order.begin(), order.end(), [&](const TracedLayer& traced) {
        return traced.layer == located.layer;
      });
      if (known == order.end()) {
        order.push_back(
            {located.path, located.layer, !input.requires_grad(), input.sizes().slice(1).vec()});
      } else if (input.requires_grad()) {
        known->reads_data = false;
      }
      return input;
    };
    hooks.set(*located.layer, std::move(hook));
  }
  const nn::EvaluationMode evaluation(*network.module);
  const at::AutoGradMode with_gradient(true);
  network.forward(example.detach().slice(0, 0, 1));
  check_argument(!order.empty(),
                 "[{}] the network has no decorrelated layer: build it of decorr::nn layers or "
                 "convert() it",
                 rule);
  return order;
}

void check_error_path(const Network& network, const std::string& rule) {
  for (const auto& item : network.module->named_modules(std::string(), /*include_self=*/true))
    check_argument(!sends_error_through_weights(*item.value()),
                   "[{}] cannot serve {}, a {}, which sends its error back through its own "
                   "weights: use decorr::nn layers or convert() the model",
                   rule, shown(item.key()), c10::demangle(typeid(*item.value()).name()));
}

void check_perturbable(const Network& network, const std::string& rule) {
  std::set<const at::TensorImpl*> served;
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*network.module))
    for (const at::Tensor& own : dynamic_cast<torch::nn::Module&>(*located.layer).parameters())
      served.insert(own.unsafeGetTensorImpl());
  check_argument(!served.empty(),
                 "[{}] the network has no decorrelated layer: build it of decorr::nn layers or "
                 "convert() it",
                 rule);
  for (const auto& item : network.module->named_modules(std::string(), /*include_self=*/true)) {
    const bool couples = is_any_of<torch::nn::BatchNorm1dImpl, torch::nn::BatchNorm2dImpl,
                                   torch::nn::BatchNorm3dImpl>(*item.value());
    check_argument(!couples,
                   "[{}] cannot serve {}: batch normalization makes the loss of a sample depend on "
                   "the noise of the others; leave it out, or use weight-perturbation",
                   rule, shown(item.key()));
  }
  for (const auto& item : network.module->named_parameters())
    check_argument(
        !item.value().requires_grad() || served.count(item.value().unsafeGetTensorImpl()) > 0,
        "[{}] cannot train {}, which belongs to no decorrelated layer: freeze it, or "
        "use weight-perturbation",
        rule, item.key());
}

void check_precise(const Network& network, const std::string& rule) {
  bool rounds = linalg::bfloat16_products();
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*network.module))
    rounds = rounds || located.layer->decorrelator()->options().precision == "bf16";
  check_argument(
      !rounds, "[{}] products in bfloat16 lose perturbations in their rounding: use float32", rule);
}

void check_reads_data(const TracedLayer& traced, const at::Tensor& input, const std::string& rule) {
  check_argument(!traced.reads_data || !input.requires_grad(),
                 "[{}] {} read the data when the rule was built, and now reads what learns: build "
                 "the rule anew after freezing or unfreezing parameters",
                 rule, traced.path);
}

HookScope::~HookScope() {
  for (auto entry = before_.rbegin(); entry != before_.rend(); ++entry)
    entry->first->set_hooks(std::move(entry->second));
}

void HookScope::set(nn::DecorrelatedLayer& layer, nn::LayerHooks hooks) {
  before_.emplace_back(&layer, layer.hooks());
  layer.set_hooks(std::move(hooks));
}

}  // namespace decorr::learning
