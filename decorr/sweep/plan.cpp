#include "decorr/sweep/plan.h"

#include "decorr/sweep/value_text.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_reader.h"
#include "decorr/train/run_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace decorr::sweep {
namespace {

using train::Config;
using train::ConfigError;
using train::Node;

// A value on each axis.
using Point = std::vector<Node>;

std::vector<Axis> all_axes(const SweepFile& file, const Variant& variant) {
  std::vector<Axis> axes = file.axes;
  axes.insert(axes.end(), variant.axes.begin(), variant.axes.end());
  return axes;
}

// Every combination, the last axis fastest.
std::vector<Point> grid_points(const std::vector<Axis>& axes) {
  constexpr std::size_t kMost = 10000;
  std::vector<Point> points{{}};
  for (const Axis& axis : axes) {
    if (points.size() * axis.values.size() > kMost)
      throw ConfigError(fmt::format("the grid has more than {} points", kMost), axis.place,
                        "list fewer values, or use sweep.method = \"random\"");
    std::vector<Point> longer;
    for (const Point& point : points)
      for (const Node& value : axis.values) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    points = std::move(longer);
  }
  return points;
}

// The first `trials` draws that differ. A draw depends on the seed, the key and its number alone,
// so that variants share what they have in common, and more trials begin with the same ones.
std::vector<Point> random_points(const std::vector<Axis>& axes, const SweepFile& file,
                                 const Variant& variant) {
  if (axes.empty())
    throw ConfigError("nothing to draw", variant.place.empty() ? file.path : variant.place,
                      "add [random] with keys such as \"optimizer.lr\" = { log_uniform = [1e-4, "
                      "1e-2] }");
  constexpr std::uint64_t kMostTries = 100;
  const auto trials = static_cast<std::uint64_t>(file.trials);
  std::vector<Point> points;
  std::set<std::string> seen;
  for (std::uint64_t position = 0; points.size() < trials; ++position) {
    if (position == kMostTries * trials)
      throw ConfigError(
          fmt::format("{} trials, but only {} different ones were drawn", trials, points.size()),
          axes.front().place, "lower sweep.trials or use sweep.method = \"grid\"");
    Point point;
    std::string text;
    for (const Axis& axis : axes) {
      const RandomStream stream(static_cast<std::uint64_t>(file.seed), axis.key);
      Node value = axis.distribution->draw(stream, position);
      if (value.place.empty()) value.place = axis.place;
      text += value_text(value) + "\n";
      point.push_back(train::as_override(std::move(value)));
    }
    if (seen.insert(text).second) points.push_back(std::move(point));
  }
  return points;
}

// `node` with the variant in its places, for errors.
Node placed_in(Node node, const Variant& variant) {
  if (!variant.name.empty())
    node.place += fmt::format(" in variant {}", train::quoted(variant.name));
  for (Node& item : node.items) item = placed_in(std::move(item), variant);
  return node;
}

Config resolve(const SweepFile& file, Node base, const Settings& settings) {
  bool keep = false;
  for (const auto& [name, node] : settings) {
    train::assign(base, name, node);
    keep = keep || name == "train.keep";
  }
  Config config = train::read_config(base, file.config);
  if (!keep) config.train.keep = 1;  // a sweep is about its results
  return config;
}

void check_metric(const Metric& metric, const Config& config, const SweepFile& file,
                  const std::string& table, const Variant& variant) {
  if (!metric.needs_validation() || config.data.validation > 0) return;
  const std::string place = variant.name.empty() ? file.path
                                                 : fmt::format("{} in variant {}", file.path,
                                                               train::quoted(variant.name));
  throw ConfigError(fmt::format("{}.metric {} needs validation images, and data.validation is 0",
                                table, train::quoted(metric.name)),
                    place, "set \"data.validation\" = 1000, say, or choose another metric");
}

std::string joined_name(const std::string& name, const std::string& end) {
  return name.empty() ? end : name + "-" + end;
}

std::vector<std::string> group_of(const SweepFile& file, const Setting& setting) {
  std::map<std::string, std::string> values{{"variant", setting.variant}};
  for (const auto& [name, text] : train::settings(setting.config)) {
    const bool quotes = text.size() > 1 && text.front() == '"';
    values[name] = quotes ? text.substr(1, text.size() - 2) : text;
  }
  std::vector<std::string> group;
  for (const std::string& key : file.group_by)
    group.push_back(values.count(key) > 0 ? values.at(key) : "–");
  return group;
}

Setting make_setting(const SweepFile& file, const Node& base, const Variant& variant,
                     const std::vector<Axis>& axes, const Point& point) {
  Settings all = file.set;
  all.insert(all.end(), variant.set.begin(), variant.set.end());
  Setting setting;
  setting.variant = setting.name = variant.name;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    all.emplace_back(axes[i].key, point[i]);
    Choice choice{axes[i].key, plain_text(point[i]), {}};
    if (const auto* whole = std::get_if<std::int64_t>(&point[i].scalar))
      choice.number = static_cast<double>(*whole);
    if (const auto* real = std::get_if<double>(&point[i].scalar)) choice.number = *real;
    setting.name = joined_name(setting.name, choice.key + "=" + choice.text);
    setting.choices.push_back(std::move(choice));
  }
  for (auto& [name, node] : all) node = placed_in(std::move(node), variant);
  setting.config = resolve(file, base, all);
  check_metric(file.metric, setting.config, file, "sweep", variant);
  if (file.final_phase) {
    for (const auto& [name, node] : file.final_phase->set)
      all.emplace_back(name, placed_in(node, variant));
    setting.final_config = resolve(file, base, all);
    check_metric(file.final_phase->metric, setting.final_config, file, "final", variant);
  }
  setting.group = group_of(file, setting);
  return setting;
}

std::vector<Run> make_runs(const Setting& setting, std::size_t index, const Config& config,
                           const std::vector<std::int64_t>& seeds) {
  std::vector<Run> runs;
  for (const std::int64_t seed : seeds) {
    Run run{file_name(joined_name(setting.name, fmt::format("seed={}", seed))), index,
            fmt::format("{}", fmt::join(setting.group, ", ")), config};
    run.config.seed = seed;
    runs.push_back(std::move(run));
  }
  return runs;
}

void check_settings_differ(const SweepFile& file, const std::vector<Setting>& settings) {
  std::map<std::string, std::string> seen;
  std::set<std::string> names;
  for (const Setting& setting : settings) {
    const auto [found, is_new] = seen.emplace(train::to_toml(setting.config), setting.name);
    if (!is_new)
      throw ConfigError(fmt::format("{} and {} are the same configuration",
                                    train::quoted(found->second), train::quoted(setting.name)),
                        file.path, "remove one of the two");
    if (!names.insert(setting.name).second)
      throw ConfigError(fmt::format("two settings are called {}", train::quoted(setting.name)),
                        file.path, "rename a variant");
  }
}

}  // namespace

std::vector<Run> Plan::final_runs(const std::vector<std::size_t>& best) const {
  std::vector<Run> result;
  for (const std::size_t index : best)
    for (Run& run :
         make_runs(settings[index], index, settings[index].final_config, file.final_phase->seeds))
      result.push_back(std::move(run));
  return result;
}

std::vector<std::string> Plan::axis_keys() const {
  std::vector<std::string> keys;
  for (const Variant& variant : file.variants)
    for (const Axis& axis : all_axes(file, variant))
      if (std::count(keys.begin(), keys.end(), axis.key) == 0) keys.push_back(axis.key);
  return keys;
}

std::vector<double> Plan::axis_numbers(const std::string& variant, const std::string& key) const {
  std::vector<double> numbers;
  for (const Setting& setting : settings)
    for (const Choice& choice : setting.choices)
      if (setting.variant == variant && choice.key == key && choice.number)
        numbers.push_back(*choice.number);
  return numbers;
}

void Plan::set_threads(std::int64_t threads, std::int64_t otherwise) {
  const auto apply = [&](Config& config) {
    if (threads > 0)
      config.train.threads = threads;
    else if (config.train.threads == 0)
      config.train.threads = otherwise;
  };
  for (Run& run : runs) apply(run.config);
  for (Setting& setting : settings) {
    apply(setting.config);
    if (file.final_phase) apply(setting.final_config);
  }
}

std::int64_t Plan::most_threads() const {
  std::int64_t most = 1;
  for (const Setting& setting : settings)
    most = std::max({most, setting.config.train.threads,
                     file.final_phase ? setting.final_config.train.threads : 1});
  return most;
}

Plan make_plan(SweepFile file) {
  const Node base = train::parse_document(train::read_document(file.config), file.config);
  Plan plan;
  for (const Variant& variant : file.variants) {
    const std::vector<Axis> axes = all_axes(file, variant);
    const std::vector<Point> points =
        file.method == "random" ? random_points(axes, file, variant) : grid_points(axes);
    for (const Point& point : points)
      plan.settings.push_back(make_setting(file, base, variant, axes, point));
  }
  check_settings_differ(file, plan.settings);
  if (file.seeds.empty()) file.seeds = {plan.settings.front().config.seed};
  plan.file = std::move(file);
  for (std::size_t i = 0; i < plan.settings.size(); ++i)
    for (Run& run : make_runs(plan.settings[i], i, plan.settings[i].config, plan.file.seeds))
      plan.runs.push_back(std::move(run));
  return plan;
}

}  // namespace decorr::sweep
