#include "decorr/train/config_reader.h"
#include "decorr/train/nearest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace decorr::train {
namespace {

// A value that may be written for the key.
std::string example(const Binding& binding) {
  const bool empty_list = binding.value() == "[]" && binding.type() == "list of floats";
  return empty_list ? "[0.5, 0.5, 0.5]" : binding.value();
}

[[noreturn]] void wrong_type(const Binding& binding, const Node& node) {
  const bool text = binding.type() == "string";
  const std::string& choice = binding.choices.empty() ? "text" : binding.choices.front();
  const std::string write = text ? "a string in quotes such as " + quoted(choice)
                                 : fmt::format("a {} such as {}", binding.type(), example(binding));
  const bool vowel = binding.type().front() == 'i';
  throw ConfigError(fmt::format("\"{}\" must be {} {}, got {}", binding.name, vowel ? "an" : "a",
                                binding.type(), node.shown()),
                    node.place, "write " + (vowel ? "an" + write.substr(1) : write));
}

[[noreturn]] void out_of_range(const Binding& binding, const Node& node, const std::string& what) {
  const auto* real = std::get_if<double>(&node.scalar);
  const bool finite = real == nullptr || std::isfinite(*real);
  throw ConfigError(
      fmt::format("{} must be {}{}, got {}", what, finite ? "" : "finite and ",
                  binding.range.text(),
                  real == nullptr ? fmt::format("{}", std::get<std::int64_t>(node.scalar))
                                  : in_toml(*real)),
      node.place, fmt::format("write a value such as {}", example(binding)));
}

std::int64_t whole(const Binding& binding, const Node& node, const std::string& what) {
  const auto value = std::get<std::int64_t>(node.scalar);
  if (!binding.range.contains(static_cast<double>(value))) out_of_range(binding, node, what);
  return value;
}

double real(const Binding& binding, const Node& node, const std::string& what) {
  if (node.type != "float" && node.type != "integer") wrong_type(binding, node);
  const double value = node.type == "float"
                           ? std::get<double>(node.scalar)
                           : static_cast<double>(std::get<std::int64_t>(node.scalar));
  if (!binding.range.contains(value)) out_of_range(binding, node, what);
  return value;
}

template <typename Number>
void read_list(const Binding& binding, const Node& node, std::vector<Number>& target) {
  if (node.type != "list") wrong_type(binding, node);
  const std::string what = fmt::format("each number in \"{}\"", binding.name);
  std::vector<Number> values;
  for (const Node& item : node.items) {
    if constexpr (std::is_same_v<Number, double>) {
      values.push_back(real(binding, item, what));
    } else {
      if (item.type != "integer") wrong_type(binding, item);
      values.push_back(whole(binding, item, what));
    }
  }
  target = std::move(values);
}

void read_text(const Binding& binding, const Node& node, std::string& target) {
  const auto& value = std::get<std::string>(node.scalar);
  const auto& choices = binding.choices;
  if (!choices.empty() && std::count(choices.begin(), choices.end(), value) == 0) {
    const std::string nearest = nearest_name(value, choices);
    throw ConfigError(
        fmt::format("\"{}\" must be {}{}, got {}", binding.name,
                    choices.size() > 1 ? "one of " : "", fmt::join(choices, " "), node.shown()),
        node.place,
        resembles(value, nearest) ? fmt::format("did you mean {}?", quoted(nearest))
                                  : "write one of these, in quotes");
  }
  if (binding.accepts) {
    try {
      binding.accepts(value);
    } catch (const std::invalid_argument& error) {
      throw ConfigError(fmt::format("\"{}\" is not usable: {}", binding.name, error.what()),
                        node.place, fmt::format("write a value such as {}", binding.value()));
    }
  }
  target = value;
}

}  // namespace

void read_value(const Binding& binding, const Node& node) {
  const std::string what = fmt::format("\"{}\"", binding.name);
  if (auto* const* list = std::get_if<std::vector<std::int64_t>*>(&binding.target)) {
    read_list(binding, node, **list);
  } else if (auto* const* reals = std::get_if<std::vector<double>*>(&binding.target)) {
    read_list(binding, node, **reals);
  } else if (auto* const* number = std::get_if<double*>(&binding.target)) {
    **number = real(binding, node, what);
  } else if (node.type != binding.type()) {
    wrong_type(binding, node);
  } else if (auto* const* flag = std::get_if<bool*>(&binding.target)) {
    **flag = std::get<bool>(node.scalar);
  } else if (auto* const* integer = std::get_if<std::int64_t*>(&binding.target)) {
    **integer = whole(binding, node, what);
  } else {
    read_text(binding, node, *std::get<std::string*>(binding.target));
  }
}

}  // namespace decorr::train
