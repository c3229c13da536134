#include "decorr/train/config_document.h"

#include "decorr/train/config.h"
#include "decorr/train/config_binding.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <tuple>

namespace decorr::train {
namespace {

const char* const kSyntax = "see https://toml.io for the syntax (strings need quotes)";

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool not_utf8(const toml::parse_error& error) {
  return error.description().find("utf-8") != std::string_view::npos;
}

// Converts `node`; `place` is called with it and says where it is.
template <typename Place>
Node convert(const toml::node& node, const std::string& key, const Place& place) {
  Node result{key, place(node), "date", {}, {}};
  if (const auto* flag = node.as_boolean()) {
    result.type = "boolean";
    result.scalar = flag->get();
  } else if (const auto* whole = node.as_integer()) {
    result.type = "integer";
    result.scalar = whole->get();
  } else if (const auto* real = node.as_floating_point()) {
    result.type = "float";
    result.scalar = real->get();
  } else if (const auto* text = node.as_string()) {
    result.type = "string";
    result.scalar = text->get();
  } else if (const auto* list = node.as_array()) {
    result.type = "list";
    for (const toml::node& item : *list) result.items.push_back(convert(item, "", place));
  } else if (const auto* table = node.as_table()) {
    result.type = "table";
    // toml++ sorts by name; errors are to come in the order of the text.
    std::vector<std::tuple<toml::source_position, std::string, const toml::node*>> entries;
    for (const auto& [name, value] : *table)
      entries.emplace_back(name.source().begin, std::string(name.str()), &value);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
    });
    for (const auto& [position, name, value] : entries)
      result.items.push_back(convert(*value, name, place));
  }
  return result;
}

Node convert_override(const toml::table& table, const std::string& place) {
  return as_override(convert(*table.get("value"), "", [&](const toml::node&) { return place; }));
}

}  // namespace

std::string Node::shown() const {
  if (type == "boolean") return std::get<bool>(scalar) ? "the boolean true" : "the boolean false";
  if (type == "integer") return fmt::format("the integer {}", std::get<std::int64_t>(scalar));
  if (type == "float") return fmt::format("the float {}", in_toml(std::get<double>(scalar)));
  if (type != "string") return "a " + type;
  constexpr std::size_t kMaxShown = 60;
  const auto& text = std::get<std::string>(scalar);
  return fmt::format("the string {}", text.size() <= kMaxShown
                                          ? quoted(text)
                                          : quoted(text.substr(0, kMaxShown) + "..."));
}

const Node* Node::find(const std::string& name) const {
  for (const Node& item : items)
    if (item.key == name) return &item;
  return nullptr;
}

std::string read_document(const std::string& path) {
  const char* const mend = "check the path";
  if (std::filesystem::is_directory(path))
    throw ConfigError("cannot read the file: it is a folder", path, mend);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  constexpr std::size_t kMaxSize = 1 << 20;
  std::string text(kMaxSize + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    throw ConfigError(fmt::format("cannot read the file: {}", std::strerror(errno)), path, mend);
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMaxSize)
    throw ConfigError("not a TOML file of settings: larger than 1 MiB", path, mend);
  return text;
}

Node parse_document(const std::string& text, const std::string& source_name) {
  if (text.find('\0') != std::string::npos)
    throw ConfigError("not a TOML file but a binary file", source_name, "give a TOML file");
  try {
    const toml::table table = toml::parse(text, source_name);
    return convert(table, "", [&](const toml::node& node) {
      return fmt::format("{}:{}", source_name, node.source().begin.line);
    });
  } catch (const toml::parse_error& error) {
    // toml++ decodes ahead of what it parses, so that it does not know where broken text is.
    if (not_utf8(error))
      throw ConfigError("not a TOML file: text that is not UTF-8", source_name,
                        "give a TOML file in UTF-8");
    throw ConfigError(fmt::format("not valid TOML: {}", error.description()),
                      fmt::format("{}:{}", source_name, error.source().begin.line), kSyntax);
  }
}

Node as_override(Node value) {
  value.overrides = true;
  for (Node& item : value.items) item = as_override(std::move(item));
  return value;
}

std::pair<std::string, Node> parse_override(const std::string& text) {
  const std::string place = "--set " + text;
  const auto equals = text.find('=');
  const std::string name = trimmed(text.substr(0, equals));
  const std::string value = equals == std::string::npos ? "" : trimmed(text.substr(equals + 1));
  if (name.empty() || value.empty())
    throw ConfigError("an override needs a key and a value", place,
                      "write --set SECTION.KEY=VALUE, with \"\" for an empty string");
  try {
    const toml::table table = toml::parse("value = " + value);
    if (table.size() == 1) return {name, convert_override(table, place)};
    throw ConfigError("an override has one value", place, "write one --set for each key");
  } catch (const toml::parse_error& error) {
    if (not_utf8(error) || std::string("\"'[{").find(value.front()) != std::string::npos)
      throw ConfigError(fmt::format("not a valid TOML value: {}", error.description()), place,
                        kSyntax);
  }
  return {name, as_override(Node{"", place, "string", value, {}})};
}

void assign(Node& document, const std::string& name, Node value) {
  Node* table = &document;
  const auto dot = name.find('.');
  const auto child = [](Node& parent, const std::string& key) -> Node& {
    for (Node& item : parent.items)
      if (item.key == key) return item;
    parent.items.push_back(Node{key, "", "table", {}, {}});
    return parent.items.back();
  };
  if (dot != std::string::npos) {
    table = &child(document, name.substr(0, dot));
    if (table->type != "table") return;
  }
  value.key = name.substr(dot == std::string::npos ? 0 : dot + 1);
  child(*table, value.key) = std::move(value);
}

}  // namespace decorr::train
