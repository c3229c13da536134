#include "decorr/train/config_reader.h"

#include "decorr/train/config_names.h"
#include "decorr/train/data_preset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace decorr::train {
namespace {

Setting setting_of(const Binding& binding) {
  if (auto* const* flag = std::get_if<bool*>(&binding.target)) return **flag;
  if (auto* const* integer = std::get_if<std::int64_t*>(&binding.target)) return **integer;
  if (auto* const* real = std::get_if<double*>(&binding.target)) return **real;
  return *std::get<std::string*>(binding.target);
}

LayerDecorrelation read_layer(const Node& node) {
  if (node.type != "table")
    throw ConfigError(
        fmt::format("an element of \"{}\" must be a table, got {}", kLayersKey, node.shown()),
        node.place, "write [[decorrelation.layers]] and its keys below");
  LayerDecorrelation layer;
  whitening::DecorrelatorOptions options;
  std::vector<Binding> keys = decorrelator_bindings(options, kLayersKey);
  const Binding pattern(std::string(kLayersKey) + ".pattern", &layer.pattern,
                        "glob on the layer's path");
  keys.push_back(pattern);
  for (const Node& item : node.items) {
    const std::string name = fmt::format("{}.{}", kLayersKey, item.key);
    if (std::none_of(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; }))
      unknown_key(name, item.place);
  }
  const Node* given = node.find("pattern");
  if (given != nullptr) read_value(pattern, *given);
  if (layer.pattern.empty())
    throw ConfigError("[[decorrelation.layers]] needs a pattern",
                      given == nullptr ? node.place : given->place,
                      "add pattern = \"layers.0\" or another layer's path, * and ? allowed");
  if (node.items.size() == 1)
    throw ConfigError("[[decorrelation.layers]] changes nothing", node.place,
                      "add a setting such as method = \"none\", or remove it");
  keys.pop_back();
  for (const Binding& key : keys) {
    if (const Node* item = node.find(key.leaf())) {
      read_value(key, *item);
      layer.settings.emplace_back(key.leaf(), setting_of(key));
    }
  }
  return layer;
}

std::vector<LayerDecorrelation> read_layers(const Node& node) {
  if (node.type != "list")
    throw ConfigError(
        fmt::format("\"{}\" must be a list of tables, got {}", kLayersKey, node.shown()),
        node.place, "write [[decorrelation.layers]], in double brackets");
  std::vector<LayerDecorrelation> layers;
  for (const Node& item : node.items) layers.push_back(read_layer(item));
  return layers;
}

// Gives `config` the presets that are asked for; the other keys come on top of them.
void start_from_presets(Config& config, const std::vector<Binding>& all, const GivenKeys& given) {
  for (const Binding& binding : all) {
    const bool decides = binding.name == "decorrelation.preset" || binding.name == "data.preset" ||
                         binding.name == "data.name";
    if (decides && given.count(binding.name) > 0) read_value(binding, *given.at(binding.name));
  }
  config.decorrelation.options =
      whitening::DecorrelatorOptions::preset(config.decorrelation.preset);
  if (config.data.preset == "none") return;
  const std::vector<std::string> covered = datasets_with_preset();
  if (std::count(covered.begin(), covered.end(), config.data.name) == 0)
    throw ConfigError(
        fmt::format("data.name = {} has no preset {}", train::quoted(config.data.name),
                    train::quoted(config.data.preset)),
        given.at("data.preset")->place,
        fmt::format("set data.preset = \"none\"; the data sets that have one are {}",
                    fmt::join(covered, ", ")));
  apply_published_preset(config.data);
}

}  // namespace

Config read_config(const Node& document, const std::string& source_name) {
  const GivenKeys given = collect_keys(document);
  Config config;
  const std::vector<Binding> all = bindings(config);
  start_from_presets(config, all, given);
  for (const Binding& binding : all)
    if (const auto found = given.find(binding.name); found != given.end())
      read_value(binding, *found->second);
  if (given.count("model.batch_norm") == 0)
    config.model.batch_norm = config.model.type == "resnet18";
  if (const auto layers = given.find(kLayersKey); layers != given.end())
    config.decorrelation.layers = read_layers(*layers->second);
  check_effects(config, given);
  check_combinations(config, given, source_name);
  return config;
}

}  // namespace decorr::train
