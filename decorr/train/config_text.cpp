#include "decorr/train/config.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace decorr::train {
namespace {

std::string table_of_binding(const Binding& binding) {
  const auto dot = binding.name.rfind('.');
  return dot == std::string::npos ? "" : binding.name.substr(0, dot);
}

// Starts a table when `binding` is the first of it.
std::string header(const Binding& binding, std::string& table) {
  if (table_of_binding(binding) == table) return "";
  table = table_of_binding(binding);
  return fmt::format("\n[{}]\n", table);
}

std::string layer_text(const LayerDecorrelation& layer) {
  std::string text = fmt::format("\n[[{}]]\npattern = {}\n", kLayersKey, quoted(layer.pattern));
  for (const auto& [leaf, setting] : layer.settings)
    text += fmt::format("{} = {}\n", leaf, in_toml(setting));
  return text;
}

std::string allowed(const Binding& binding) {
  if (!binding.choices.empty()) return fmt::format("{}", fmt::join(binding.choices, ", "));
  const Range anything;
  const bool bounded = binding.range.low != anything.low || binding.range.high != anything.high;
  return bounded ? fmt::format("{} {}", binding.type(), binding.range.text()) : binding.type();
}

// Two lines: the key with its default, then what it is.
std::string description(const Binding& binding) {
  std::string text = fmt::format("  {} = {}\n      {}; {}", binding.leaf(),
                                 binding.required ? "(to be given)" : binding.value(), binding.doc,
                                 allowed(binding));
  for (const Condition& condition : binding.conditions)
    text += fmt::format("; only with {}", condition.text());
  return text + "\n";
}

}  // namespace

std::string to_toml(const Config& config) {
  Config copy = config;
  const Selected selected = anywhere(config);
  std::string text, table;
  for (const Binding& binding : bindings(copy)) {
    if (unmet(binding, selected) != nullptr) continue;
    if (table == "decorrelation" && table_of_binding(binding) != table) {
      for (const LayerDecorrelation& layer : config.decorrelation.layers) text += layer_text(layer);
    }
    text += header(binding, table);
    text += fmt::format("{} = {}\n", binding.leaf(), binding.value());
  }
  return text;
}

std::string describe_config() {
  Config config;
  std::string text, table;
  for (const Binding& binding : bindings(config)) {
    if (table == "decorrelation" && table_of_binding(binding) != table)
      text += fmt::format(
          "\n[[{}]]\n  pattern = (to be given)\n      glob on the layer's path (layers.0), with * "
          "and ?; string\n  any key of [decorrelation] but preset\n      for the layers that "
          "match; later elements win\n",
          kLayersKey);
    text += header(binding, table);
    text += description(binding);
  }
  return text;
}

}  // namespace decorr::train
