#include "decorr/sweep/ranking.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace decorr::sweep {

bool SettingResult::usable() const {
  return runs > 0 && diverged == 0 && stopped == 0 && pending == 0 && std::isfinite(metric.mean);
}

std::vector<SettingResult> by_setting(const Plan& plan, const std::vector<Run>& runs,
                                      const std::vector<RunResult>& results) {
  std::map<std::size_t, SettingResult> found;
  std::map<std::size_t, std::vector<double>> values;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    SettingResult& result = found[runs[i].setting];
    result.setting = runs[i].setting;
    ++result.runs;
    if (results[i].state == RunState::kPending) ++result.pending;
    if (results[i].state == RunState::kDiverged) ++result.diverged;
    if (results[i].state == RunState::kStopped) ++result.stopped;
    values[runs[i].setting].push_back(results[i].metric);
  }
  std::vector<SettingResult> list;
  for (std::size_t i = 0; i < plan.settings.size(); ++i) {
    if (found.count(i) == 0) continue;
    found[i].metric = estimate(values[i]);
    list.push_back(found[i]);
  }
  return list;
}

std::vector<Group> choose(const Plan& plan, const std::vector<SettingResult>& results,
                          const Metric& metric) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::vector<std::string>& values = plan.settings[results[i].setting].group;
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& other) { return other.values == values; });
    if (group == groups.end()) group = groups.insert(groups.end(), Group{values, {}, {}});
    group->members.push_back(i);
    if (!results[i].usable()) continue;
    if (!group->best || metric.better(results[i].metric.mean, results[*group->best].metric.mean))
      group->best = i;
  }
  return groups;
}

std::vector<std::string> edge_notes(const Plan& plan, const std::vector<SettingResult>& results,
                                    const std::vector<Group>& groups) {
  std::vector<std::string> notes;
  if (plan.file.method != "grid") return notes;
  for (const Group& group : groups) {
    if (!group.best) continue;
    const Setting& setting = plan.settings[results[*group.best].setting];
    for (const Choice& choice : setting.choices) {
      if (!choice.number) continue;
      const std::vector<double> numbers = plan.axis_numbers(setting.variant, choice.key);
      const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
      if (*least == *most || (*choice.number != *least && *choice.number != *most)) continue;
      notes.push_back(fmt::format(
          "the best {}{} is {}, the {} value of its grid: extend the grid there", choice.key,
          group.values.empty() ? "" : fmt::format(" of {}", fmt::join(group.values, ", ")),
          choice.text, *choice.number == *least ? "least" : "greatest"));
    }
  }
  return notes;
}

}  // namespace decorr::sweep
