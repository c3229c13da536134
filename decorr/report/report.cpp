#include "decorr/report/report.h"

#include "decorr/report/collect.h"
#include "decorr/report/notes.h"

#include <utility>

namespace decorr::report {

Report make_report(const std::vector<std::filesystem::path>& paths, const ReportOptions& options) {
  Report report;
  report.title = options.title;
  report.targets = parse_targets(options.targets);
  Collection collection = collect(paths);
  Grouping grouping = group_runs(std::move(collection.runs), options.group_by);
  report.groups = std::move(grouping.groups);
  report.notes = notes(report.groups);
  for (const auto& more : {grouping.notes, collection.notes})
    report.notes.insert(report.notes.end(), more.begin(), more.end());
  if (report.targets.empty()) report.targets = default_targets(report.groups);
  return report;
}

}  // namespace decorr::report
