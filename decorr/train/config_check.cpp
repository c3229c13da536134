#include "decorr/train/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace decorr::train {
namespace {

[[noreturn]] void no_effect(const Binding& binding, const Condition& condition,
                            const Selected& selected, const std::string& place) {
  const std::vector<std::string> actual = selected(condition.selector);
  throw ConfigError(fmt::format("\"{}\" has no effect with {}", binding.name,
                                Condition{condition.selector, actual}.text()),
                    place, fmt::format("remove it or set {}", condition.text()));
}

// Whether `key` stands in the file and an override has made another choice, which leaves the key
// without effect on purpose: `--set decorrelation.method=none` turns a configuration into its twin.
bool overridden(const Node& key, const std::string& selector, const GivenKeys& given) {
  const auto chooser = given.find(selector);
  return chooser != given.end() && chooser->second->overrides && !key.overrides;
}

// A key is missing, which the kind of schedule (its last condition) needs.
[[noreturn]] void missing(const Binding& binding, const std::string& place) {
  throw ConfigError(fmt::format("\"{}\" is missing, which {} needs", binding.name,
                                binding.conditions.back().text()),
                    place, fmt::format("add {} = NUMBER, the {}", binding.leaf(), binding.doc));
}

bool sets(const LayerDecorrelation& layer, const std::string& leaf) {
  return std::any_of(layer.settings.begin(), layer.settings.end(),
                     [&](const auto& setting) { return setting.first == leaf; });
}

void check_layer(const LayerDecorrelation& layer, const Node& node, const Config& config,
                 const GivenKeys& given) {
  Config without_layers = config;
  without_layers.decorrelation.layers.clear();
  whitening::DecorrelatorOptions options;
  for (const Binding& binding : decorrelator_bindings(options, kLayersKey)) {
    const std::string leaf = binding.leaf();
    const Selected possible = beside(layer, config);
    const Condition* condition = unmet(binding, possible);
    if (condition != nullptr && sets(layer, leaf) &&
        !overridden(*node.find(leaf), condition->selector, given))
      no_effect(binding, *condition, possible, node.find(leaf)->place);
    const auto& layers = config.decorrelation.layers;
    const bool somewhere =
        given.count("decorrelation." + leaf) > 0 ||
        std::any_of(layers.begin(), layers.end(), [&](const auto& l) { return sets(l, leaf); });
    if (binding.required && !somewhere && unmet(binding, beside(layer, without_layers)) == nullptr)
      missing(binding, node.place);
  }
}

// Whether the network has batch normalization; the key may be left over from another type.
bool normalizes_batches(const ModelConfig& model) {
  return model.batch_norm &&
         (model.type == "mlp" || model.type == "convnet" || model.type == "resnet18");
}

}  // namespace

void check_effects(const Config& config, const GivenKeys& given) {
  Config copy = config;
  Config without_layers = config;
  without_layers.decorrelation.layers.clear();
  const Selected possible = anywhere(config), general = anywhere(without_layers);
  for (const Binding& binding : bindings(copy)) {
    const auto found = given.find(binding.name);
    const Condition* condition = unmet(binding, possible);
    if (condition != nullptr && found != given.end() &&
        !overridden(*found->second, condition->selector, given))
      no_effect(binding, *condition, possible, found->second->place);
    if (!binding.required || found != given.end() || unmet(binding, general) != nullptr) continue;
    const auto chooser = given.find(binding.conditions.back().selector);
    if (chooser != given.end()) missing(binding, chooser->second->place);
  }
  const auto& layers = config.decorrelation.layers;
  for (std::size_t i = 0; i < layers.size(); ++i)
    check_layer(layers[i], given.at(kLayersKey)->items[i], config, given);
}

void check_combinations(const Config& config, const GivenKeys& given,
                        const std::string& source_name) {
  const auto place = [&](const std::string& name) {
    return given.count(name) > 0 ? given.at(name)->place : source_name;
  };
  if (config.optimizer.nesterov && config.optimizer.momentum <= 0)
    throw ConfigError("\"optimizer.nesterov\" has no effect without momentum",
                      place("optimizer.nesterov"), "set optimizer.momentum, 0.9 say");

  if (config.learning.rule == "node-perturbation" && normalizes_batches(config.model))
    throw ConfigError("node-perturbation cannot train through batch normalization",
                      place("learning.rule"),
                      "set model.batch_norm = false or learning.rule = \"weight-perturbation\"");
  if (config.learning.rule == "node-perturbation" && config.model.type == "transformer")
    throw ConfigError(
        "node-perturbation cannot train the transformer's normalizations and positions",
        place("learning.rule"),
        "set learning.rule = \"weight-perturbation\" or another model.type");
  if (config.learning.rule == "direct-feedback-alignment" &&
      config.learning.options.feedback_init == "weights")
    throw ConfigError(
        "direct-feedback-alignment cannot start from the weights, its matrices have another shape",
        place("learning.feedback_init"), "set learning.feedback_init = \"uniform\" or \"normal\"");

  const Selected selected = anywhere(config);
  const auto precisions = selected("decorrelation.precision");
  const bool rounds = config.train.precision == "bf16" ||
                      std::count(precisions.begin(), precisions.end(), "bf16") > 0;
  if (rounds && (config.learning.rule == "node-perturbation" ||
                 config.learning.rule == "weight-perturbation"))
    throw ConfigError("products in bfloat16 lose perturbations in their rounding",
                      place("learning.rule"),
                      "set train.precision and decorrelation.precision = \"float32\"");
  if (config.train.precision == "float64" &&
      std::count(precisions.begin(), precisions.end(), "bf16") > 0)
    throw ConfigError("decorrelation.precision = \"bf16\" rounds float32, and the model is float64",
                      place("decorrelation.precision"),
                      "remove it or set train.precision = \"float32\"");
  const auto methods = selected("decorrelation.method"), means = selected("decorrelation.mean");
  const bool decorrelates =
      std::any_of(methods.begin(), methods.end(), [](const auto& m) { return m != "none"; });
  const auto batch = config.train.batch_size;
  if (decorrelates && batch * config.train.accumulate < 2)
    throw ConfigError("decorrelation needs at least 2 samples in a step, got train.batch_size 1",
                      place("train.batch_size"),
                      "raise train.batch_size or train.accumulate, or set "
                      "decorrelation.method = \"none\"");
  if (decorrelates && batch < 2 && std::count(means.begin(), means.end(), "batch") > 0)
    throw ConfigError("decorrelation.mean = \"batch\" needs train.batch_size 2 or more, got 1",
                      place("train.batch_size"),
                      "raise it or set decorrelation.mean = \"running\"");
}

}  // namespace decorr::train
