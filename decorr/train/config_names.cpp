#include "decorr/train/config_names.h"

#include "decorr/train/config_binding.h"
#include "decorr/train/nearest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace decorr::train {
namespace {

// Every key's full name, in the order of a listing.
std::vector<std::string> key_names() {
  Config config;
  std::vector<std::string> names;
  for (const Binding& binding : bindings(config)) names.push_back(binding.name);
  names.emplace_back(kLayersKey);
  names.push_back(std::string(kLayersKey) + ".pattern");
  for (const Binding& binding : decorrelator_bindings(config.decorrelation.options, kLayersKey))
    names.push_back(binding.name);
  return names;
}

std::string table_of(const std::string& name) {
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string leaf_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::count(names.begin(), names.end(), name) > 0;
}

// `data`, `model` and so on.
std::vector<std::string> table_names() {
  std::vector<std::string> tables;
  for (const std::string& name : key_names()) {
    const std::string table = table_of(name);
    if (!table.empty() && table != kLayersKey && !contains(tables, table)) tables.push_back(table);
  }
  return tables;
}

// The known key that was most likely meant: a slip in the key's own table, the same key of another
// table, or else whatever is spelt most alike.
std::string likely_key(const std::string& name) {
  std::vector<std::string> same_table, same_leaf;
  const std::vector<std::string> all = key_names();
  for (const std::string& known : all) {
    if (table_of(known) == table_of(name)) same_table.push_back(known);
    if (leaf_of(known) == leaf_of(name)) same_leaf.push_back(known);
  }
  const std::string slip = nearest_name(name, same_table);
  if (!slip.empty() && resembles(leaf_of(name), leaf_of(slip))) return slip;
  return nearest_name(name, same_leaf.empty() ? all : same_leaf);
}

[[noreturn]] void unknown_table(const Node& table) {
  // `optimiser.lr = 1` makes a table too, but what was written is a key.
  if (table.type == "table" && !table.items.empty() && table.items.front().place == table.place)
    unknown_key(table.key + "." + table.items.front().key, table.place);
  const std::string nearest = nearest_name(table.key, table_names());
  const char* mend = resembles(table.key, nearest) ? "did you mean [{}]?" : "use one of [{}]";
  throw ConfigError(fmt::format("unknown table [{}]", table.key), table.place,
                    fmt::format(mend, resembles(table.key, nearest)
                                          ? nearest
                                          : fmt::format("{}", fmt::join(table_names(), "] ["))));
}

}  // namespace

void unknown_key(const std::string& name, const std::string& place) {
  const std::string likely = likely_key(name);
  const bool close = resembles(name, likely) || leaf_of(name) == leaf_of(likely);
  throw ConfigError(
      fmt::format("unknown key {}", quoted(name)), place,
      fmt::format(close ? "did you mean \"{}\"?" : "the nearest known key is \"{}\"", likely));
}

GivenKeys collect_keys(const Node& document) {
  const std::vector<std::string> keys = key_names(), tables = table_names();
  GivenKeys given;
  const auto take = [&](const std::string& name, const Node& node) {
    if (node.key.find('.') != std::string::npos)
      throw ConfigError(fmt::format("no key has a dot in its name, got {}", quoted(node.key)),
                        node.place, "remove the quotes around the key");
    if (!contains(keys, name)) unknown_key(name, node.place);
    given[name] = &node;
  };
  for (const Node& item : document.items) {
    if (!contains(tables, item.key)) {
      const bool table = item.type == "table" || (item.type == "list" && !item.items.empty() &&
                                                  item.items.front().type == "table");
      if (table && !contains(keys, item.key)) unknown_table(item);
      take(item.key, item);
      continue;
    }
    if (item.type != "table")
      throw ConfigError(fmt::format("[{}] must be one table, got {}", item.key, item.shown()),
                        item.place, fmt::format("write [{}] once, its keys below", item.key));
    for (const Node& value : item.items) take(item.key + "." + value.key, value);
  }
  return given;
}

void check_override_name(const std::string& name, const std::string& place) {
  if (contains(table_names(), name))
    throw ConfigError(fmt::format("\"{}\" is a table", name), place,
                      fmt::format("name one of its keys, {}.KEY", name));
  if (!contains(key_names(), name)) unknown_key(name, place);
  if (table_of(name) == kLayersKey)
    throw ConfigError(fmt::format("\"{}\" is in a list", name), place,
                      "give the list, decorrelation.layers = [{pattern = \"layers.0\", "
                      "method = \"none\"}]");
}

bool is_key(const std::string& name) { return contains(key_names(), name); }

}  // namespace decorr::train
