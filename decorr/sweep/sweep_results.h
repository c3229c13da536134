#pragma once

#include "decorr/sweep/plan.h"
#include "decorr/sweep/ranking.h"
#include "decorr/sweep/run_result.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// What a sweep writes down. Internal to sweep/: not installed.
namespace decorr::sweep {

/// A list of runs that are compared with each other, and what became of them.
struct PhaseResults {
  std::string name;  ///< `search` or `final`
  Metric metric;
  std::vector<Run> runs;
  std::vector<RunResult> results;  ///< one for each run
};

/// `results.json`: every run with its settings and its end, and the best setting of each group.
nlohmann::ordered_json results_json(const Plan& plan, const std::vector<PhaseResults>& phases);

/// `results.csv`: a line a run.
std::string results_csv(const Plan& plan, const std::vector<PhaseResults>& phases);

/// The best setting of each group of the search, in Markdown, with notes.
std::string best_table(const Plan& plan, const PhaseResults& search);

/// The settings of the final runs with their metric, in Markdown.
std::string final_table(const Plan& plan, const PhaseResults& last);

/// Every setting of the search with its metric, or why it has none, in Markdown.
std::string settings_table(const Plan& plan, const PhaseResults& search);

/// Rows of cells in Markdown, columns as wide as they need to be; the first row is the heading.
/// Bars in cells are escaped.
std::string markdown_table(std::vector<std::vector<std::string>> rows);

}  // namespace decorr::sweep
