#include "decorr/report/tables.h"

#include "decorr/core/check.h"
#include "decorr/report/html.h"
#include "decorr/report/plural.h"
#include "decorr/report/scores.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace decorr::report {
namespace {

std::string table(const char* classes, const std::string& content) {
  return fmt::format("<div class=\"scroll\"><table class=\"{}\">\n{}</table></div>\n", classes,
                     content);
}

// Groups are told by the colour of their curves, which the script sets.
Cell name_cell(const Report& report, const Group& group) {
  Cell cell = text_cell(group.name);
  cell.html = fmt::format("<span class=\"swatch\" data-group=\"{}\"></span>{}",
                          &group - report.groups.data(), cell.html);
  return cell;
}

Cell count_cell(std::size_t count) { return {std::to_string(count), std::to_string(count), true}; }

// How many there are, and how many of them did not come to a good end.
Cell seeds_cell(const Group& group) {
  Cell cell = count_cell(group.runs.size());
  if (group.diverged() > 0) cell.html += fmt::format(", {} diverged", group.diverged());
  if (group.unfinished() > 0) cell.html += fmt::format(", {} unfinished", group.unfinished());
  return cell;
}

std::string epochs_of(const Group& group) {
  std::size_t fewest = group.epochs();
  for (const Run& run : group.runs) fewest = std::min(fewest, run.epochs.size());
  return fewest == group.epochs() ? std::to_string(fewest)
                                  : fmt::format("{}–{}", fewest, group.epochs());
}

Cell ratio_cell(const TimeToAccuracy& time) {
  const Ratio& ratio = time.relative;
  if (!std::isfinite(ratio.value)) return nothing_cell();
  std::string html = fmt::format("{:.2f}", ratio.value);
  if (std::isfinite(ratio.low))
    html += fmt::format(" <span class=\"error\">[{:.2f}, {:.2f}]</span>", ratio.low, ratio.high);
  html += fmt::format(" <span class=\"detail\">of {}{}</span>", escape(time.baseline),
                      ratio.pairs == 0 ? ", seeds not paired" : ", " + plural(ratio.pairs, "pair"));
  return {html, fmt::format("{:.9g}", ratio.value), true};
}

// Whether groups that have the setting disagree about it.
bool has_several_values(const Report& report, const std::string& key) {
  std::set<std::string> values;
  for (const Group& group : report.groups) values.insert(group.setting(key));
  values.erase("");
  return values.size() > 1;
}

std::string settings_by_group(const Report& report, const std::vector<std::string>& keys) {
  std::vector<std::string> titles = {"Key"};
  for (const Group& group : report.groups) titles.push_back(group.name);
  std::string body;
  for (const std::string& key : keys) {
    std::vector<Cell> cells = {text_cell(key)};
    for (const Group& group : report.groups) {
      const std::string value = group.setting(key);
      cells.push_back(value.empty() ? nothing_cell() : text_cell(value));
    }
    body += row(cells);
  }
  return table("settings", head(titles) + "<tbody>\n" + body + "</tbody>\n");
}

}  // namespace

std::string score_table(const Report& report) {
  std::vector<Score> scores;
  for (const Group& group : report.groups) scores.push_back(score(group));
  const bool top5 = std::any_of(scores.begin(), scores.end(),
                                [](const Score& score) { return score.top5.count > 0; });
  std::vector<std::string> titles = {"Group",
                                     "Seeds",
                                     "Epochs",
                                     "Last test accuracy",
                                     "Best-epoch test accuracy",
                                     "Training accuracy",
                                     "Seconds an epoch",
                                     "Seconds in all"};
  if (top5) titles.insert(titles.begin() + 4, "Last top-5 accuracy");
  std::string body;
  bool by_validation = false, picked_on_test = false, cut_short = false;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Group& group = report.groups[i];
    const Score& score = scores[i];
    Cell best = percent_cell(score.best_accuracy.mean, score.best_accuracy.standard_error);
    const bool on_test = !score.by_validation && score.best_accuracy.count > 0;
    if (on_test) best.html += "<sup>†</sup>";
    picked_on_test = picked_on_test || on_test;
    by_validation = by_validation || score.by_validation;
    cut_short = cut_short || group.diverged() + group.unfinished() > 0;
    std::vector<Cell> cells = {
        name_cell(report, group),
        seeds_cell(group),
        {epochs_of(group), std::to_string(group.epochs()), true},
        percent_cell(score.test_accuracy.mean, score.test_accuracy.standard_error),
        std::move(best),
        percent_cell(score.train_accuracy.mean, score.train_accuracy.standard_error),
        number_cell(score.epoch_seconds.mean, score.epoch_seconds.standard_error),
        number_cell(score.seconds.mean, score.seconds.standard_error)};
    if (top5)
      cells.insert(cells.begin() + 4, percent_cell(score.top5.mean, score.top5.standard_error));
    body += row(cells);
  }
  std::string html = table("sortable", head(titles) + "<tbody>\n" + body + "</tbody>\n");
  html += "<p class=\"legend\">Mean ± standard error over seeds, after each run’s last epoch.";
  if (cut_short)
    html += " A seed that diverged or is unfinished counts with the last epoch it has.";
  if (by_validation) html += " The best epoch is the one with the lowest validation loss.";
  if (picked_on_test)
    html +=
        " <sup>†</sup> Without validation images the best epoch is picked on the test set, "
        "which flatters.";
  return html + "</p>\n";
}

std::string time_table(const Report& report) {
  if (report.targets.empty()) return "<p>No run has a test accuracy.</p>\n";
  const std::vector<std::string> titles = {"Group", "Reached", "Epochs", "Training seconds",
                                           "Seconds relative to plain"};
  std::string content = head(titles);
  for (const Target& target : report.targets) {
    content += fmt::format(
        "<tbody>\n<tr class=\"target\"><th scope=\"rowgroup\" colspan=\"{}\">{:.4g} "
        "%{}</th></tr>\n",
        titles.size(), 100 * target.accuracy,
        target.origin.empty()
            ? ""
            : fmt::format(" <span class=\"detail\">best of {}</span>", escape(target.origin)));
    for (const Group& group : report.groups) {
      const TimeToAccuracy time = time_to_accuracy(group, report.groups, target.accuracy);
      if (!target.origin.empty() && group.name != target.origin && time.baseline != target.origin)
        continue;
      content += row({name_cell(report, group),
                      {fmt::format("{} of {} seeds", time.reached, time.runs),
                       std::to_string(time.reached), true},
                      number_cell(time.epochs.mean, time.epochs.half_width),
                      number_cell(time.seconds.mean, time.seconds.half_width),
                      ratio_cell(time)});
    }
    content += "</tbody>\n";
  }
  return table("times", content);
}

std::string difference_table(const Report& report) {
  std::vector<std::string> keys, partly;
  for (const std::string& key : differing_keys(report.groups))
    (has_several_values(report, key) ? keys : partly).push_back(key);
  std::string html = keys.empty() ? "<p>The groups have the same settings.</p>\n"
                                  : settings_by_group(report, keys);
  // Such keys follow from others: a plain layer has no rate of decorrelation.
  if (!partly.empty())
    html += "<details>\n<summary>What only some groups have</summary>\n" +
            settings_by_group(report, partly) + "</details>\n";
  return html;
}

std::string common_settings(const Report& report) {
  const std::vector<std::string> differing = differing_keys(report.groups);
  const std::set<std::string> left_out(differing.begin(), differing.end());
  std::set<std::string> keys;
  for (const Group& group : report.groups)
    for (const Run& run : group.runs)
      for (const auto& entry : run.settings) keys.insert(entry.first);
  std::string body;
  for (const std::string& key : keys)
    if (left_out.count(key) == 0 && key != "seed")
      body += row({text_cell(key), text_cell(report.groups.front().setting(key))});
  return table("settings", head({"Key", "Value"}) + "<tbody>\n" + body + "</tbody>\n");
}

std::string run_table(const Report& report) {
  std::string body;
  for (const Group& group : report.groups)
    for (const Run& run : group.runs)
      body += row({name_cell(report, group),
                   {std::to_string(run.seed), std::to_string(run.seed), true},
                   text_cell(to_string(run.status)),
                   count_cell(run.epochs.size()),
                   number_cell(run.epochs.empty() ? kUnknown : run.epochs.back().seconds, kUnknown),
                   text_cell(run.path.string())});
  return table("sortable",
               head({"Group", "Seed", "Status", "Epochs", "Training seconds", "Folder"}) +
                   "<tbody>\n" + body + "</tbody>\n");
}

}  // namespace decorr::report
