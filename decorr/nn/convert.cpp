#include "decorr/nn/convert.h"

#include "decorr/nn/convert_layer.h"
#include "decorr/nn/plain_layer.h"
#include "decorr/nn/rebuild.h"
#include "decorr/nn/rebuild_model.h"
#include "decorr/nn/shared_parameters.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

namespace decorr::nn {
namespace {

using torch::nn::AnyModule;
using torch::nn::Module;
using ModulePointer = std::shared_ptr<Module>;

// The decorrelated layer or model in the place of `module`, if there is one, and the report.
class Converter {
 public:
  Converter(const Module& root, const DecorrelationPlan& plan, std::uint64_t seed)
      : plan_(plan), seed_(seed), shared_(root) {}

  AnyModule operator()(const std::string& path, const ModulePointer& module) {
    if (auto* old = dynamic_cast<DecorrelatedLayer*>(module.get())) {
      const whitening::DecorrelatorOptions options = options_for(path);
      return layer(path, *module, options, reason_to_keep(*module, *old, options));
    }
    if (const auto model = std::dynamic_pointer_cast<Model>(module))
      return whole_model(path, model);
    if (can_convert(*module)) {
      const whitening::DecorrelatorOptions options = options_for(path);
      return layer(path, *module, options, obstacle(*module, options));
    }
    look_inside(path, *module);
    return {};
  }

  std::vector<LayerConversion> take_report() { return std::move(report_); }

 private:
  void kept(const std::string& path, const Module& module, std::string reason) {
    report_.push_back({path, type_name(module), false, std::move(reason)});
  }

  void converted(const std::string& path, const Module& module) {
    report_.push_back({path, type_name(module), true, ""});
  }

  // What the plan says of the layer at `path`.
  whitening::DecorrelatorOptions options_for(const std::string& path) const {
    whitening::DecorrelatorOptions options = plan_(path);
    validate(options, layer_label("convert", path));
    return options;
  }

  // Why the weights of the layer `module` cannot be behind an R; empty if they can.
  std::string obstacle(const Module& module, const whitening::DecorrelatorOptions& options) const {
    const at::Tensor weight = module.named_parameters(/*recurse=*/false)["weight"];
    if (weight.scalar_type() != at::kFloat && weight.scalar_type() != at::kDouble)
      return fmt::format("its weights are {}: convert it in float32 or float64",
                         c10::toString(weight.scalar_type()));
    if (options.method != "none" && options.function_preserving && !weight.requires_grad())
      return "its weights are frozen, but follow R to preserve its function: unfreeze them or set "
             "function_preserving = false";
    return shared_.conflict(module);
  }

  // The layer in the place of `module`, unless there is a `reason` to keep it.
  AnyModule layer(const std::string& path, Module& module,
                  const whitening::DecorrelatorOptions& options, std::string reason) {
    AnyModule result;
    if (reason.empty())
      result = convert_layer(module, options, RandomStream(seed_, path), path, reason);
    if (result.is_empty()) {
      kept(path, module, reason);
    } else {
      converted(path, module);
    }
    return result;
  }

  // Why a layer of decorr::nn stays as it is; empty if it is to be given `options`.
  std::string reason_to_keep(const Module& module, DecorrelatedLayer& layer,
                             const whitening::DecorrelatorOptions& options) const {
    if (layer.decorrelator()->active()) return "it is decorrelated already";
    if (options.method == "none") return "it has method \"none\" already";
    return obstacle(module, options);
  }

  AnyModule whole_model(const std::string& path, const std::shared_ptr<Model>& model) {
    const std::string shared = shared_.conflict(*model);
    LayerOptions options;
    bool changes = false;
    for (const auto& [name, layer] : decorrelated_layers(*model)) {
      const std::string full_path = joined(path, name);
      const auto& module = dynamic_cast<const Module&>(*layer);
      options[name] = options_for(full_path);
      std::string reason = shared;
      if (reason.empty()) reason = reason_to_keep(module, *layer, options[name]);
      if (reason.empty()) {
        converted(full_path, module);
        changes = true;
      } else {
        kept(full_path, module, reason);
        options[name] = layer->decorrelator()->options();
      }
    }
    if (!changes) return {};
    return AnyModule(rebuild_model(*model, path, options, "convert"));
  }

  // Reports the layers in a module that cannot be rebuilt.
  void look_inside(const std::string& path, Module& module) {
    for (const auto& item : module.named_modules(path, /*include_self=*/true)) {
      Module& inner = *item.value();
      if (!reported_.insert(&inner).second) continue;
      if (auto* layer = dynamic_cast<DecorrelatedLayer*>(&inner)) {
        kept(item.key(), inner,
             layer->decorrelator()->active()
                 ? "it is decorrelated already"
                 : fmt::format("{} holds it in a member: give it its options there",
                               type_name(module)));
      } else if (can_convert(inner)) {
        kept(item.key(), inner,
             fmt::format("{} holds it in a member of that type: declare it there as {}",
                         type_name(module), decorrelated_form(inner)));
      } else if (has_weights(inner)) {
        kept(item.key(), inner, "it has no decorrelated counterpart");
      }
    }
  }

  static bool has_weights(const Module& module) {
    const auto parameters = module.parameters(/*recurse=*/false);
    return std::any_of(parameters.begin(), parameters.end(),
                       [](const at::Tensor& parameter) { return parameter.dim() >= 2; });
  }

  const DecorrelationPlan& plan_;
  std::uint64_t seed_;
  SharedParameters shared_;
  std::vector<LayerConversion> report_;
  std::set<const Module*> reported_;
};

}  // namespace

std::string to_string(const std::vector<LayerConversion>& report) {
  std::string text;
  for (const LayerConversion& entry : report)
    text += fmt::format("{} ({}): {}\n", entry.path.empty() ? "the model" : entry.path, entry.type,
                        entry.converted ? "converted" : "kept, " + entry.reason);
  const auto count = std::count_if(report.begin(), report.end(),
                                   [](const LayerConversion& entry) { return entry.converted; });
  return text + fmt::format("{} of {} converted\n", count, report.size());
}

namespace detail {

Converted<ModulePointer> convert(const ModulePointer& model, const DecorrelationPlan& plan,
                                 std::uint64_t seed) {
  check_argument(model != nullptr, "[convert] the model must be a module, got an empty pointer");
  check_argument(plan != nullptr, "[convert] the plan must be a function, got an empty one");
  Converter converter(*model, plan, seed);
  const Part result = rebuild(model, std::ref(converter));
  std::vector<LayerConversion> report = converter.take_report();
  check_argument(!decorrelated_layers(*result.module).empty(),
                 "[convert] the model has no layer that can be converted, which is a "
                 "torch::nn::Linear, Conv1d or Conv2d by itself, in a Sequential, ModuleList or "
                 "ModuleDict, or in a decorr::nn::Model{}{}",
                 report.empty() ? "" : ". It has: ", report.empty() ? "" : to_string(report));
  return {result.module, std::move(report)};
}

}  // namespace detail
}  // namespace decorr::nn
