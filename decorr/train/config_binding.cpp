#include "decorr/train/config_binding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace decorr::train {
namespace {

std::string number(double value) {
  const std::string text = fmt::format("{}", value);
  const bool looks_whole = text.find_first_not_of("-0123456789") == std::string::npos;
  return looks_whole ? text + ".0" : text;
}

// The layers' key of the same leaf as a general one, and the other way round.
constexpr const char* kGeneral = "decorrelation.";
constexpr const char* kLayers = "decorrelation.layers.";

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

bool Range::contains(double value) const {
  if (!std::isfinite(value)) return false;
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Range::text() const {
  if (std::isfinite(high))
    return fmt::format("in {}{}, {}{}", low_open ? "(" : "[", low, high, high_open ? ")" : "]");
  if (std::isfinite(low)) return fmt::format("{} {}", low_open ? "greater than" : "at least", low);
  return "finite";
}

std::string Condition::text() const {
  std::vector<std::string> shown;
  for (const std::string& value : values)
    shown.push_back(value == "true" || value == "false" ? value : quoted(value));
  return fmt::format("{} = {}", selector, fmt::join(shown, " or "));
}

Binding Binding::within(Range numbers) const {
  Binding result = *this;
  result.range = numbers;
  return result;
}

Binding Binding::among(std::vector<std::string> strings) const {
  Binding result = *this;
  result.choices = std::move(strings);
  return result;
}

Binding Binding::accepting(std::function<void(const std::string&)> test) const {
  Binding result = *this;
  result.accepts = std::move(test);
  return result;
}

Binding Binding::when(std::vector<Condition> needs) const {
  Binding result = *this;
  result.conditions = std::move(needs);
  return result;
}

Binding Binding::needed(bool is) const {
  Binding result = *this;
  result.required = is;
  return result;
}

std::string Binding::leaf() const { return name.substr(name.rfind('.') + 1); }

std::string Binding::type() const {
  static const std::vector<std::string> names{"boolean", "integer",          "float",
                                              "string",  "list of integers", "list of floats"};
  return names.at(target.index());
}

std::string Binding::value() const {
  if (const auto* list = std::get_if<std::vector<std::int64_t>*>(&target))
    return fmt::format("[{}]", fmt::join(**list, ", "));
  if (const auto* list = std::get_if<std::vector<double>*>(&target)) {
    std::vector<std::string> numbers;
    for (const double item : **list) numbers.push_back(number(item));
    return fmt::format("[{}]", fmt::join(numbers, ", "));
  }
  if (const auto* flag = std::get_if<bool*>(&target)) return in_toml(**flag);
  if (const auto* whole = std::get_if<std::int64_t*>(&target)) return in_toml(**whole);
  if (const auto* real = std::get_if<double*>(&target)) return in_toml(**real);
  return in_toml(*std::get<std::string*>(target));
}

const Condition* unmet(const Binding& binding, const Selected& selected) {
  for (const Condition& condition : binding.conditions) {
    const std::vector<std::string> values = selected(condition.selector);
    const bool met = std::any_of(values.begin(), values.end(), [&](const std::string& value) {
      return std::count(condition.values.begin(), condition.values.end(), value) > 0;
    });
    if (!met) return &condition;
  }
  return nullptr;
}

Selected anywhere(const Config& config) {
  Config copy = config;
  std::map<std::string, std::vector<std::string>> values;
  for (const Binding& binding : bindings(copy)) {
    if (const auto* text = std::get_if<std::string*>(&binding.target))
      values[binding.name] = {**text};
    if (const auto* flag = std::get_if<bool*>(&binding.target))
      values[binding.name] = {**flag ? "true" : "false"};
  }
  for (const LayerDecorrelation& layer : config.decorrelation.layers)
    for (const auto& [leaf, setting] : layer.settings)
      if (const auto* text = std::get_if<std::string>(&setting))
        values[kGeneral + leaf].push_back(*text);
  return [values](const std::string& selector) { return values.at(selector); };
}

Selected beside(const LayerDecorrelation& layer, const Config& config) {
  return [layer, others = anywhere(config)](const std::string& selector) {
    if (!starts_with(selector, kLayers)) return others(selector);
    const std::string leaf = selector.substr(std::string(kLayers).size());
    for (const auto& [name, setting] : layer.settings)
      if (name == leaf) return std::vector<std::string>{std::get<std::string>(setting)};
    return others(kGeneral + leaf);
  };
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (code < 0x20 || code == 0x7F) {
      result += fmt::format("\\u{:04X}", code);
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string in_toml(const Setting& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *whole);
  if (const auto* real = std::get_if<double>(&value)) return number(*real);
  return quoted(std::get<std::string>(value));
}

}  // namespace decorr::train
