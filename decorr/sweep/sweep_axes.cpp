#include "decorr/sweep/sweep_axes.h"

#include "decorr/sweep/value_text.h"
#include "decorr/train/config.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_names.h"
#include "decorr/train/nearest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace decorr::sweep {
namespace {

using train::ConfigError;
using train::Node;

void take(Settings& settings, const std::string& name, const Node& node) {
  train::check_override_name(name, node.place);
  if (name == "seed")
    throw ConfigError("the seed is no setting of a sweep", node.place,
                      "list the seeds of the runs: seeds = [42, 43] in [sweep]");
  const bool twice = std::any_of(settings.begin(), settings.end(),
                                 [&](const auto& entry) { return entry.first == name; });
  if (twice)
    throw ConfigError(fmt::format("{} is given twice", train::quoted(name)), node.place,
                      "remove one of the two");
  settings.emplace_back(name, train::as_override(node));
}

void check_different(const std::string& name, const std::vector<Node>& values) {
  std::set<std::string> seen;
  for (const Node& value : values)
    if (!seen.insert(value_text(value)).second)
      throw ConfigError(
          fmt::format("{} has the value {} twice", train::quoted(name), value_text(value)),
          value.place, "remove one of the two");
}

// The same key in two tables that meet in one run.
void check_apart(const Settings& settings, const std::vector<Axis>& axes) {
  for (const Axis& axis : axes)
    for (const auto& [name, node] : settings)
      if (name == axis.key)
        throw ConfigError(
            fmt::format("{} is set here and varied at {}", train::quoted(name), axis.place),
            node.place, "remove one of the two");
}

}  // namespace

Settings read_settings(const Node& table) {
  Settings settings;
  for (const Node& item : table.items) {
    // optimizer.lr = 0.1 is a table with a key, "optimizer.lr" = 0.1 a key with a dot.
    const bool dotted = item.key.find('.') != std::string::npos;
    if (item.type == "table" && !dotted && !train::is_key(item.key)) {
      for (const Node& value : item.items) take(settings, item.key + "." + value.key, value);
    } else {
      take(settings, item.key, item);
    }
  }
  return settings;
}

std::vector<Axis> read_axes(const Node& table, const std::string& method) {
  std::vector<Axis> axes;
  for (auto& [name, node] : read_settings(table)) {
    Axis axis{name, node.place, {}, {}};
    if (method == "random") {
      axis.distribution = read_distribution(name, node);
      check_different(name, axis.distribution->choices);
    } else {
      if (node.type != "list")
        throw ConfigError(
            fmt::format("{} must be a list of values, got {}", train::quoted(name), node.shown()),
            node.place, fmt::format("write {} = [{}]", train::quoted(name), value_text(node)));
      if (node.items.empty())
        throw ConfigError(fmt::format("{} has no values", train::quoted(name)), node.place,
                          "list at least one");
      check_different(name, node.items);
      axis.values = node.items;
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

void check_clashes(const SweepFile& file) {
  check_apart(file.set, file.axes);
  for (const Variant& variant : file.variants) {
    check_apart(variant.set, file.axes);
    check_apart(variant.set, variant.axes);
    check_apart(file.set, variant.axes);
    for (const Axis& axis : variant.axes)
      for (const Axis& shared : file.axes)
        if (axis.key == shared.key)
          throw ConfigError(
              fmt::format("{} is varied here and at {}", train::quoted(axis.key), shared.place),
              axis.place, "vary it for all variants, or for each in its own table");
    if (file.final_phase) check_apart(file.final_phase->set, variant.axes);
  }
  if (file.final_phase) check_apart(file.final_phase->set, file.axes);
}

void check_table(const Node& node, const std::string& name) {
  if (node.type != "table")
    throw ConfigError(fmt::format("{} must be a table, got {}", name, node.shown()), node.place,
                      fmt::format("write {} with its keys below", name));
}

void check_keys(const Node& table, const std::string& prefix,
                const std::vector<std::string>& known) {
  for (const Node& item : table.items) {
    if (std::count(known.begin(), known.end(), item.key) > 0) continue;
    const std::string nearest = train::nearest_name(item.key, known);
    throw ConfigError(fmt::format("unknown key {} of a sweep", train::quoted(prefix + item.key)),
                      item.place,
                      train::resembles(item.key, nearest)
                          ? fmt::format("did you mean {}?", train::quoted(prefix + nearest))
                          : fmt::format("use one of {}", fmt::join(known, " ")));
  }
}

}  // namespace decorr::sweep
