#include "decorr/sweep/sweep_file.h"

#include "decorr/sweep/sweep_axes.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_names.h"
#include "decorr/train/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace decorr::sweep {
namespace {

using train::Binding;
using train::ConfigError;
using train::Node;
using train::Range;

// Reads those of `keys` that `table` has.
void read_keys(const Node& table, const std::vector<Binding>& keys) {
  for (const Binding& key : keys)
    if (const Node* node = table.find(key.leaf())) train::read_value(key, *node);
}

std::vector<Binding> metric_keys(const std::string& table, Metric& metric) {
  return {
      Binding(table + ".metric", &metric.name, "what runs are compared by").among(metric_names()),
      Binding(table + ".direction", &metric.direction, "which way is better").among({"min", "max"}),
      Binding(table + ".at", &metric.epoch, "which epoch of a run counts").among({"last", "best"})};
}

std::vector<std::int64_t> read_seeds(const Node& table, const std::string& prefix) {
  const Node* node = table.find("seeds");
  std::vector<std::int64_t> seeds;
  if (node == nullptr) return seeds;
  train::read_value(Binding(prefix + "seeds", &seeds, "of the runs").within(Range::at_least(0)),
                    *node);
  if (seeds.empty())
    throw ConfigError(fmt::format("{} is empty", train::quoted(prefix + "seeds")), node->place,
                      "list at least one, or remove it");
  const std::set<std::int64_t> different(seeds.begin(), seeds.end());
  if (different.size() != seeds.size())
    throw ConfigError(fmt::format("{} has a seed twice", train::quoted(prefix + "seeds")),
                      node->place, "remove it");
  return seeds;
}

std::vector<std::string> read_group_by(const Node& node) {
  std::vector<std::string> keys;
  const auto text = [](const Node& item) { return item.type == "string"; };
  if (node.type != "list" || !std::all_of(node.items.begin(), node.items.end(), text))
    throw ConfigError(R"("sweep.group_by" must be a list of strings)", node.place,
                      R"(write group_by = ["variant"], or keys such as "learning.rule")");
  for (const Node& item : node.items) {
    keys.push_back(std::get<std::string>(item.scalar));
    if (keys.back() == "variant") continue;
    train::check_override_name(keys.back(), item.place);
    if (keys.back() == "seed")
      throw ConfigError("runs cannot be grouped by seed, over which the metric is averaged",
                        item.place, "remove it");
  }
  return keys;
}

void read_sweep_table(const Node& table, SweepFile& file) {
  check_table(table, "[sweep]");
  check_keys(table, "sweep.",
             {"method", "trials", "seed", "metric", "direction", "at", "seeds", "group_by"});
  std::vector<Binding> keys = metric_keys("sweep", file.metric);
  keys.push_back(
      Binding("sweep.method", &file.method, "how settings are chosen").among({"grid", "random"}));
  keys.push_back(Binding("sweep.trials", &file.trials, "draws").within(Range::between(1, 1e6)));
  keys.push_back(Binding("sweep.seed", &file.seed, "seed of the draws").within(Range::at_least(0)));
  read_keys(table, keys);
  file.seeds = read_seeds(table, "sweep.");
  for (const char* name : {"trials", "seed"})
    if (const Node* node = table.find(name); node != nullptr && file.method != "random")
      throw ConfigError(fmt::format(R"("sweep.{}" has no effect with sweep.method = "grid")", name),
                        node->place, "remove it or set sweep.method = \"random\"");
  if (file.method == "random" && table.find("trials") == nullptr)
    throw ConfigError(R"("sweep.trials" is missing, which sweep.method = "random" needs)",
                      table.place, "add trials = NUMBER, the draws for each variant");
}

Metric resolved(Metric metric) {
  if (metric.direction.empty()) metric.direction = natural_direction(metric.name);
  return metric;
}

// The axes below `node` if they are of the sweep's method.
std::vector<Axis> axes_of(const Node& parent, const SweepFile& file, const std::string& prefix) {
  const std::string other = file.method == "grid" ? "random" : "grid";
  if (const Node* node = parent.find(other))
    throw ConfigError(fmt::format("{} has no effect with sweep.method = {}",
                                  train::quoted(prefix + other), train::quoted(file.method)),
                      node->place,
                      fmt::format("write {} or set sweep.method = {}",
                                  train::quoted(prefix + file.method), train::quoted(other)));
  const Node* node = parent.find(file.method);
  if (node == nullptr) return {};
  check_table(*node, fmt::format("[{}{}]", prefix, file.method));
  return read_axes(*node, file.method);
}

Settings settings_of(const Node& parent, const std::string& prefix) {
  const Node* node = parent.find("set");
  if (node == nullptr) return {};
  check_table(*node, fmt::format("[{}set]", prefix));
  return read_settings(*node);
}

std::vector<Variant> read_variants(const Node* list, const SweepFile& file) {
  if (list == nullptr) return {Variant()};
  std::vector<Variant> variants;
  if (list->type != "list" || list->items.empty())
    throw ConfigError(fmt::format("\"variant\" must be a list of tables, got {}",
                                  list->type == "list" ? "an empty one" : list->shown()),
                      list->place, "write [[variant]], in double brackets");
  std::set<std::string> names;
  for (const Node& node : list->items) {
    check_table(node, "[[variant]]");
    check_keys(node, "variant.", {"name", "set", "grid", "random"});
    Variant variant;
    variant.place = node.place;
    read_keys(node, {Binding("variant.name", &variant.name, "what results call it")});
    if (variant.name.empty())
      throw ConfigError("[[variant]] needs a name", node.place, "add name = \"plain\", say");
    if (!names.insert(variant.name).second)
      throw ConfigError(fmt::format("two variants are called {}", train::quoted(variant.name)),
                        node.place, "rename one");
    variant.set = settings_of(node, "variant.");
    variant.axes = axes_of(node, file, "variant.");
    variants.push_back(std::move(variant));
  }
  return variants;
}

StopOptions read_stop(const Node& table) {
  check_table(table, "[stop]");
  check_keys(table, "stop.", {"rule", "grace_epochs", "min_runs"});
  StopOptions stop;
  read_keys(
      table,
      {Binding("stop.rule", &stop.rule, "when to stop a run").among({"median"}),
       Binding("stop.grace_epochs", &stop.grace_epochs, "epochs for every run")
           .within(Range::at_least(1)),
       Binding("stop.min_runs", &stop.min_runs, "other runs at least").within(Range::at_least(1))});
  return stop;
}

FinalOptions read_final(const Node& table, const Metric& metric) {
  check_table(table, "[final]");
  check_keys(table, "final.", {"seeds", "set", "metric", "direction", "at"});
  FinalOptions result;
  read_keys(table, metric_keys("final", result.metric));
  if (result.metric.name.empty()) result.metric.name = metric.name;
  result.metric = resolved(result.metric);
  result.seeds = read_seeds(table, "final.");
  if (result.seeds.empty())
    throw ConfigError("\"final.seeds\" is missing", table.place,
                      "add seeds = [42, 43, 44], those of the final runs");
  result.set = settings_of(table, "final.");
  return result;
}

}  // namespace

SweepFile parse_sweep_file(const std::string& text, const std::string& source_name) {
  const Node document = train::parse_document(text, source_name);
  check_keys(document, "",
             {"config", "sweep", "set", "grid", "random", "variant", "stop", "final"});
  SweepFile file;
  file.path = source_name;
  std::string config;
  read_keys(document, {Binding("config", &config, "base configuration")});
  if (config.empty())
    throw ConfigError("\"config\" is missing", source_name,
                      "name the base configuration first: config = \"base.toml\"");
  file.config = (std::filesystem::path(source_name).parent_path() / config).string();
  if (const Node* table = document.find("sweep")) read_sweep_table(*table, file);
  if (file.metric.name.empty())
    throw ConfigError("\"sweep.metric\" is missing", source_name,
                      "say in [sweep] what runs are compared by: metric = \"train_loss\"");
  file.metric = resolved(file.metric);
  file.set = settings_of(document, "");
  file.axes = axes_of(document, file, "");
  file.variants = read_variants(document.find("variant"), file);
  const Node* sweep = document.find("sweep");
  if (const Node* groups = sweep == nullptr ? nullptr : sweep->find("group_by")) {
    file.group_by = read_group_by(*groups);
    if (!file.has_variants() &&
        std::count(file.group_by.begin(), file.group_by.end(), "variant") > 0)
      throw ConfigError("grouped by variant, but there are none", groups->place,
                        "add [[variant]] tables or remove \"variant\"");
  } else if (file.has_variants()) {
    file.group_by = {"variant"};
  }
  if (const Node* stop = document.find("stop")) file.stop = read_stop(*stop);
  if (const Node* last = document.find("final")) file.final_phase = read_final(*last, file.metric);
  check_clashes(file);
  return file;
}

SweepFile load_sweep_file(const std::string& path) {
  return parse_sweep_file(train::read_document(path), path);
}

}  // namespace decorr::sweep
