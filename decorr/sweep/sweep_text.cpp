// A sweep file as text.
#include "decorr/sweep/sweep_file.h"
#include "decorr/sweep/value_text.h"
#include "decorr/train/config_binding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

namespace decorr::sweep {
namespace {

std::string metric_text(const Metric& metric) {
  return fmt::format("metric = {}\ndirection = {}\nat = {}\n", train::quoted(metric.name),
                     train::quoted(metric.direction), train::quoted(metric.epoch));
}

std::string settings_text(const Settings& settings) {
  std::string text;
  for (const auto& [name, node] : settings)
    text += fmt::format("{} = {}\n", train::quoted(name), value_text(node));
  return text;
}

std::string axes_text(const std::vector<Axis>& axes) {
  std::string text;
  for (const Axis& axis : axes) {
    std::vector<std::string> values;
    for (const train::Node& value : axis.values) values.push_back(value_text(value));
    text += fmt::format("{} = {}\n", train::quoted(axis.key),
                        axis.distribution ? axis.distribution->text()
                                          : fmt::format("[{}]", fmt::join(values, ", ")));
  }
  return text;
}

// A table with its header, or nothing if it is empty.
std::string table_text(const std::string& name, const std::string& content) {
  return content.empty() ? "" : fmt::format("\n[{}]\n{}", name, content);
}

std::string group_text(const SweepFile& file) {
  std::vector<std::string> names;
  for (const std::string& name : file.group_by) names.push_back(train::quoted(name));
  return fmt::format("group_by = [{}]\n", fmt::join(names, ", "));
}

std::string stop_text(const StopOptions& stop) {
  return fmt::format("rule = {}\ngrace_epochs = {}\nmin_runs = {}\n", train::quoted(stop.rule),
                     stop.grace_epochs, stop.min_runs);
}

}  // namespace

std::string fixed_text(const SweepFile& file) {
  std::string text = fmt::format("method = {}\n", train::quoted(file.method));
  if (file.method == "random") text += fmt::format("seed = {}\n", file.seed);
  text += metric_text(file.metric) + group_text(file);
  if (file.stop) text += table_text("stop", stop_text(*file.stop));
  return text;
}

std::string to_toml(const SweepFile& file) {
  std::string sweep = fmt::format("method = {}\n", train::quoted(file.method));
  if (file.method == "random")
    sweep += fmt::format("trials = {}\nseed = {}\n", file.trials, file.seed);
  sweep += metric_text(file.metric);
  if (!file.seeds.empty()) sweep += fmt::format("seeds = [{}]\n", fmt::join(file.seeds, ", "));
  sweep += group_text(file);
  std::string text =
      fmt::format("config = {}\n", train::quoted(std::filesystem::absolute(file.config).string()));
  text += table_text("sweep", sweep);
  text += table_text("set", settings_text(file.set));
  text += table_text(file.method, axes_text(file.axes));
  for (const Variant& variant : file.variants) {
    if (variant.name.empty()) continue;
    text += fmt::format("\n[[variant]]\nname = {}\n", train::quoted(variant.name));
    if (!variant.set.empty()) text += "[variant.set]\n" + settings_text(variant.set);
    if (!variant.axes.empty())
      text += fmt::format("[variant.{}]\n", file.method) + axes_text(variant.axes);
  }
  if (file.stop) text += table_text("stop", stop_text(*file.stop));
  if (file.final_phase) {
    const FinalOptions& last = *file.final_phase;
    text += table_text("final", fmt::format("seeds = [{}]\n", fmt::join(last.seeds, ", ")) +
                                    metric_text(last.metric));
    text += table_text("final.set", settings_text(last.set));
  }
  return text;
}

}  // namespace decorr::sweep
