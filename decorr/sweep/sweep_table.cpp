// Results of a sweep for people: tables in Markdown.
#include "decorr/sweep/sweep_results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace decorr::sweep {
namespace {

using Row = std::vector<std::string>;

// Characters of UTF-8 text: bytes that do not continue one.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// A bar in a cell would begin the next one.
std::string escaped(const std::string& cell) {
  std::string text;
  for (const char c : cell) text += c == '|' ? std::string("\\|") : std::string(1, c);
  return text;
}

// The columns that tell settings apart: groups, then axes.
Row setting_heading(const Plan& plan) {
  Row names = plan.file.group_by;
  for (const std::string& key : plan.axis_keys())
    if (std::count(names.begin(), names.end(), key) == 0) names.push_back(key);
  return names;
}

Row setting_cells(const Plan& plan, const Setting& setting) {
  Row cells = setting.group;
  for (const std::string& key : setting_heading(plan)) {
    if (std::count(plan.file.group_by.begin(), plan.file.group_by.end(), key) > 0) continue;
    const auto found = std::find_if(setting.choices.begin(), setting.choices.end(),
                                    [&](const Choice& choice) { return choice.key == key; });
    cells.push_back(found == setting.choices.end() ? "–" : found->text);
  }
  return cells;
}

Row joined_row(Row row, const Row& more) {
  row.insert(row.end(), more.begin(), more.end());
  return row;
}

// The metric of a setting, or why it has none.
std::string outcome(const SettingResult& result, const Metric& metric) {
  std::vector<std::string> reasons;
  const auto count = [&](std::size_t number, const char* what) {
    if (number > 0) reasons.push_back(fmt::format("{} of {} {}", number, result.runs, what));
  };
  count(result.diverged, "diverged");
  count(result.stopped, "stopped");
  count(result.pending, "pending");
  return reasons.empty() ? metric.shown(result.metric)
                         : fmt::format("{}", fmt::join(reasons, ", "));
}

std::string describe(const Metric& metric) {
  return fmt::format("{} ({} is best, {} epoch of a run)", metric.name,
                     metric.direction == "max" ? "greatest" : "least", metric.epoch);
}

}  // namespace

std::string markdown_table(std::vector<Row> rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (Row& row : rows)
    for (std::string& cell : row) cell = escaped(cell);
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < widths.size(); ++i)
      text += fmt::format("| {}{} ", rows[r][i], std::string(widths[i] - width(rows[r][i]), ' '));
    text += "|\n";
    if (r > 0) continue;
    for (const std::size_t size : widths) text += fmt::format("|{}", std::string(size + 2, '-'));
    text += "|\n";
  }
  return text;
}

std::string best_table(const Plan& plan, const PhaseResults& search) {
  const std::vector<SettingResult> results = by_setting(plan, search.runs, search.results);
  const std::vector<Group> groups = choose(plan, results, search.metric);
  std::vector<Row> rows{joined_row(
      setting_heading(plan), {search.metric.heading(), "seeds", "runs", "diverged", "stopped"})};
  for (const Group& group : groups) {
    std::size_t runs = 0, diverged = 0, stopped = 0;
    for (const std::size_t member : group.members) {
      runs += results[member].runs;
      diverged += results[member].diverged;
      stopped += results[member].stopped;
    }
    Row row = group.values;
    row.resize(rows.front().size() - 5, "–");
    std::string value = "–", seeds = "–";
    if (group.best) {
      const SettingResult& best = results[*group.best];
      row = setting_cells(plan, plan.settings[best.setting]);
      value = search.metric.shown(best.metric);
      seeds = fmt::format("{}", best.metric.count);
    }
    rows.push_back(joined_row(row, {value, seeds, fmt::format("{}", runs),
                                    fmt::format("{}", diverged), fmt::format("{}", stopped)}));
  }
  std::string text = fmt::format("Best of {} settings by {}:\n\n{}", results.size(),
                                 describe(search.metric), markdown_table(rows));
  std::vector<std::string> notes = edge_notes(plan, results, groups);
  for (const Group& group : groups)
    if (!group.best)
      notes.push_back(fmt::format(
          "no setting{} ended with a usable {}",
          group.values.empty() ? "" : fmt::format(" of {}", fmt::join(group.values, ", ")),
          search.metric.name));
  const bool chosen = std::any_of(groups.begin(), groups.end(),
                                  [](const Group& group) { return group.members.size() > 1; });
  if (chosen && search.metric.is_of_test())
    notes.push_back(fmt::format(
        "settings were chosen by {}, on the test images: numbers of the best on these are too "
        "good; hold out data.validation images and choose by a validation metric",
        search.metric.name));
  if (!notes.empty()) text += "\n";
  for (const std::string& note : notes) text += fmt::format("- note: {}\n", note);
  return text;
}

std::string final_table(const Plan& plan, const PhaseResults& last) {
  std::vector<Row> rows{joined_row(setting_heading(plan), {last.metric.heading(), "seeds"})};
  for (const SettingResult& result : by_setting(plan, last.runs, last.results))
    rows.push_back(joined_row(setting_cells(plan, plan.settings[result.setting]),
                              {outcome(result, last.metric), fmt::format("{}", result.runs)}));
  return fmt::format("Final runs of the best settings, {} epoch, mean ± standard error:\n\n{}",
                     last.metric.epoch, markdown_table(rows));
}

std::string settings_table(const Plan& plan, const PhaseResults& search) {
  std::vector<Row> rows{joined_row(setting_heading(plan), {search.metric.heading()})};
  for (const SettingResult& result : by_setting(plan, search.runs, search.results))
    rows.push_back(joined_row(setting_cells(plan, plan.settings[result.setting]),
                              {outcome(result, search.metric)}));
  return fmt::format("All settings:\n\n{}", markdown_table(rows));
}

}  // namespace decorr::sweep
