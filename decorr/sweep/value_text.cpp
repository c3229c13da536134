#include "decorr/sweep/value_text.h"

#include "decorr/train/config_binding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <type_traits>
#include <variant>
#include <vector>

namespace decorr::sweep {
namespace {

// FNV-1a: the same on every machine, unlike std::hash.
std::uint32_t hash(const std::string& text) {
  std::uint32_t result = 2166136261U;
  for (const char c : text) {
    result ^= static_cast<unsigned char>(c);
    result *= 16777619U;
  }
  return result;
}

}  // namespace

std::string value_text(const train::Node& node) {
  std::vector<std::string> items;
  if (node.type == "list") {
    for (const train::Node& item : node.items) items.push_back(value_text(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  if (node.type == "table") {
    for (const train::Node& item : node.items)
      items.push_back(fmt::format("{} = {}", key_text(item.key), value_text(item)));
    return fmt::format("{{{}}}", fmt::join(items, ", "));
  }
  return std::visit(
      [](const auto& value) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
          return "\"\"";
        else
          return train::in_toml(train::Setting(value));
      },
      node.scalar);
}

std::string plain_text(const train::Node& node) {
  if (node.type == "string") return std::get<std::string>(node.scalar);
  // The fewest digits: 2 rather than the 2.0 of TOML.
  if (node.type == "float") return fmt::format("{}", std::get<double>(node.scalar));
  if (node.type != "list" || node.items.empty()) return value_text(node);
  std::vector<std::string> items;
  for (const train::Node& item : node.items) items.push_back(plain_text(item));
  return fmt::format("{}", fmt::join(items, ","));
}

std::string key_text(const std::string& name) {
  const std::string bare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.find_first_not_of(bare) == std::string::npos ? name
                                                                            : train::quoted(name);
}

std::string file_name(const std::string& text) {
  constexpr std::size_t kMaxLength = 150;
  const std::string allowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=+,-";
  std::string name = text;
  for (char& c : name)
    if (allowed.find(c) == std::string::npos) c = '_';
  // A leading dot hides a folder, a leading dash is an option to many programs.
  if (!name.empty() && (name.front() == '.' || name.front() == '-')) name.front() = '_';
  if (name == text && name.size() <= kMaxLength && !name.empty()) return name;
  const std::string suffix = fmt::format("-{:08x}", hash(text));
  return name.substr(0, kMaxLength - suffix.size()) + suffix;
}

}  // namespace decorr::sweep
