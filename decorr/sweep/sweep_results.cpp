// Results of a sweep for programs: results.json and results.csv.
#include "decorr/sweep/sweep_results.h"

#include "decorr/io/csv.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace decorr::sweep {
namespace {

using nlohmann::ordered_json;

ordered_json number_or_null(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json();
}

ordered_json settings_json(const Setting& setting) {
  ordered_json result = ordered_json::object();
  for (const Choice& choice : setting.choices)
    result[choice.key] =
        choice.number ? ordered_json::parse(choice.text) : ordered_json(choice.text);
  return result;
}

ordered_json group_json(const Plan& plan, const std::vector<std::string>& values) {
  ordered_json result = ordered_json::object();
  for (std::size_t i = 0; i < values.size(); ++i) result[plan.file.group_by[i]] = values[i];
  return result;
}

ordered_json run_json(const Plan& plan, const PhaseResults& phase, std::size_t index) {
  const Run& run = phase.runs[index];
  const RunResult& result = phase.results[index];
  const Setting& setting = plan.settings[run.setting];
  return {{"name", run.name},
          {"phase", phase.name},
          {"variant", setting.variant},
          {"group", group_json(plan, setting.group)},
          {"settings", settings_json(setting)},
          {"seed", run.config.seed},
          {"status", to_string(result.state)},
          {"metric", phase.metric.name},
          {"value", number_or_null(result.metric)},
          {"epochs", result.epochs},
          {"seconds", result.seconds}};
}

ordered_json groups_json(const Plan& plan, const PhaseResults& phase) {
  const std::vector<SettingResult> results = by_setting(plan, phase.runs, phase.results);
  ordered_json list = ordered_json::array();
  for (const Group& group : choose(plan, results, phase.metric)) {
    ordered_json entry = {{"phase", phase.name},
                          {"group", group_json(plan, group.values)},
                          {"metric", phase.metric.name},
                          {"best", nullptr}};
    if (group.best) {
      const SettingResult& best = results[*group.best];
      entry["best"] = plan.settings[best.setting].name;
      entry["settings"] = settings_json(plan.settings[best.setting]);
      entry["runs"] = best.runs;
      entry["mean"] = number_or_null(best.metric.mean);
      entry["standard_error"] = number_or_null(best.metric.standard_error);
      entry["half_width"] = number_or_null(best.metric.half_width);
    }
    list.push_back(entry);
  }
  return list;
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::vector<std::string> safe;
  safe.reserve(cells.size());
  for (const std::string& cell : cells) safe.push_back(io::csv_field(cell));
  return fmt::format("{}\n", fmt::join(safe, ","));
}

}  // namespace

ordered_json results_json(const Plan& plan, const std::vector<PhaseResults>& phases) {
  ordered_json runs = ordered_json::array(), groups = ordered_json::array();
  for (const PhaseResults& phase : phases) {
    for (std::size_t i = 0; i < phase.runs.size(); ++i) runs.push_back(run_json(plan, phase, i));
    for (const ordered_json& group : groups_json(plan, phase)) groups.push_back(group);
  }
  return {{"groups", groups}, {"runs", runs}};
}

std::string results_csv(const Plan& plan, const std::vector<PhaseResults>& phases) {
  const std::vector<std::string> keys = plan.axis_keys();
  std::vector<std::string> heading{"phase", "run", "variant"};
  heading.insert(heading.end(), keys.begin(), keys.end());
  std::vector<std::string> extra;  // keys of groups that are no axes
  for (const std::string& key : plan.file.group_by)
    if (key != "variant" && std::count(keys.begin(), keys.end(), key) == 0) extra.push_back(key);
  heading.insert(heading.end(), extra.begin(), extra.end());
  for (const char* name : {"seed", "status", "metric", "value", "epochs", "seconds"})
    heading.emplace_back(name);
  std::string text = csv_line(heading);
  for (const PhaseResults& phase : phases)
    for (std::size_t i = 0; i < phase.runs.size(); ++i) {
      const Run& run = phase.runs[i];
      const RunResult& result = phase.results[i];
      const Setting& setting = plan.settings[run.setting];
      std::map<std::string, std::string> values;
      for (std::size_t j = 0; j < setting.group.size(); ++j)
        values[plan.file.group_by[j]] = setting.group[j];
      for (const Choice& choice : setting.choices) values[choice.key] = choice.text;
      std::vector<std::string> cells{phase.name, run.name, setting.variant};
      for (const std::string& key : keys) cells.push_back(values[key]);
      for (const std::string& key : extra) cells.push_back(values[key]);
      cells.push_back(fmt::format("{}", run.config.seed));
      cells.push_back(to_string(result.state));
      cells.push_back(phase.metric.name);
      cells.push_back(std::isnan(result.metric) ? "" : fmt::format("{}", result.metric));
      cells.push_back(fmt::format("{}", result.epochs));
      cells.push_back(fmt::format("{:.3f}", result.seconds));
      text += csv_line(cells);
    }
  return text;
}

}  // namespace decorr::sweep
