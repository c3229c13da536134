#pragma once

#include "decorr/report/groups.h"
#include "decorr/report/time_to_accuracy.h"

#include <filesystem>
#include <string>
#include <vector>

namespace decorr::report {

/// What a report is asked for.
struct ReportOptions {
  std::string title = "Training runs";
  std::vector<std::string> group_by;  ///< keys of the configuration; empty: see group_runs()
  std::vector<std::string> targets;   ///< accuracies; empty: see default_targets()
};

/// Everything that is said about a set of runs; the same runs give the same report.
struct Report {
  std::string title;
  std::vector<Group> groups;
  std::vector<std::string> notes;  ///< warnings, a sentence each
  std::vector<Target> targets;     ///< for time_to_accuracy()
};

/// Reads the runs in `paths` and groups them. Throws as collect(), group_runs() and
/// parse_targets() do.
Report make_report(const std::vector<std::filesystem::path>& paths, const ReportOptions& options);

}  // namespace decorr::report
