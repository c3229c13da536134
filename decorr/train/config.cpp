#include "decorr/train/config.h"

#include "decorr/core/check.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_document.h"
#include "decorr/train/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fnmatch.h>
#include <utility>

namespace decorr::train {
namespace {

bool matches(const std::string& pattern, const std::string& path) {
  return fnmatch(pattern.c_str(), path.c_str(), FNM_NOESCAPE) == 0;
}

// Gives the key `leaf` of `options` the value `setting`.
void apply(const std::string& leaf, const Setting& setting,
           whitening::DecorrelatorOptions& options) {
  for (const Binding& binding : decorrelator_bindings(options, kLayersKey)) {
    if (binding.leaf() != leaf) continue;
    const bool same_type = std::visit(
        [&](auto* target) {
          using Value = std::remove_pointer_t<decltype(target)>;
          if constexpr (std::is_arithmetic_v<Value> || std::is_same_v<Value, std::string>) {
            if (const auto* value = std::get_if<Value>(&setting)) {
              *target = *value;
              return true;
            }
          }
          return false;
        },
        binding.target);
    check_argument(same_type, "[DecorrelationConfig] setting {} must be a {}, got {}", leaf,
                   binding.type(), in_toml(setting));
    return;
  }
  check_argument(false, "[DecorrelationConfig] a layer has no setting \"{}\"", leaf);
}

}  // namespace

ConfigError::ConfigError(const std::string& what, const std::string& where, const std::string& mend)
    : std::invalid_argument([&] {
        std::string line = fmt::format("{}, {}, {}", what, where, mend);
        const auto control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7F'; };
        std::replace_if(line.begin(), line.end(), control, ' ');
        return line;
      }()) {}

whitening::DecorrelatorOptions DecorrelationConfig::options_for(
    const std::string& layer_path) const {
  whitening::DecorrelatorOptions result = options;
  for (const LayerDecorrelation& layer : layers)
    if (matches(layer.pattern, layer_path))
      for (const auto& [leaf, setting] : layer.settings) apply(leaf, setting, result);
  return result;
}

void DecorrelationConfig::check_patterns(const std::vector<std::string>& layer_paths) const {
  for (const LayerDecorrelation& layer : layers) {
    const bool used = std::any_of(layer_paths.begin(), layer_paths.end(),
                                  [&](const auto& path) { return matches(layer.pattern, path); });
    if (!used)
      throw ConfigError(fmt::format("pattern {} matches no layer", quoted(layer.pattern)),
                        "[[decorrelation.layers]]",
                        fmt::format("the layers are {}", fmt::join(layer_paths, " ")));
  }
}

Schedule OptimizerConfig::schedule_over(std::int64_t run_steps) const {
  Schedule result = schedule;
  if (result.total == 0) result.total = std::max<std::int64_t>(1, run_steps - schedule.warmup);
  return result;
}

Config parse_config(const std::string& text, const std::string& source_name,
                    const std::vector<std::string>& overrides) {
  Node document = parse_document(text, source_name);
  for (const std::string& override_text : overrides) {
    auto [name, value] = parse_override(override_text);
    check_override_name(name, value.place);
    assign(document, name, std::move(value));
  }
  return read_config(document, source_name);
}

Config load_config(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_config(read_document(path), path, overrides);
}

}  // namespace decorr::train
