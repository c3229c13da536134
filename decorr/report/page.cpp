#include "decorr/report/page.h"

#include "decorr/core/check.h"
#include "decorr/core/version.h"
#include "decorr/report/assets.h"
#include "decorr/report/chart_data.h"
#include "decorr/report/html.h"
#include "decorr/report/plural.h"
#include "decorr/report/tables.h"

#include <set>

namespace decorr::report {
namespace {

// What was trained on what, in a line.
std::string subtitle(const Report& report) {
  std::size_t runs = 0;
  std::set<std::string> data;
  for (const Group& group : report.groups) {
    runs += group.runs.size();
    for (const Run& run : group.runs) {
      std::string name = run.setting("data.name");
      data.insert(name.size() > 2 ? name.substr(1, name.size() - 2) : name);
    }
  }
  return fmt::format("{} in {} on {} · decorr {}", plural(runs, "run"),
                     plural(report.groups.size(), "group"), fmt::join(data, ", "), kVersion);
}

std::string banner(const std::vector<std::string>& notes) {
  if (notes.empty()) return "";
  std::string items;
  for (const std::string& note : notes) items += fmt::format("<li>{}</li>\n", escape(note));
  return fmt::format(
      "<div class=\"banner\" role=\"note\"><strong>Read this first</strong>\n<ul>\n{}</ul></div>\n",
      items);
}

}  // namespace

std::string html_page(const Report& report) {
  const std::string data = chart_data(report).dump(
      -1, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace);
  return fill(page_html(), {{"title", escape(report.title)},
                            {"subtitle", escape(subtitle(report))},
                            {"banner", banner(report.notes)},
                            {"scores", score_table(report)},
                            {"times", time_table(report)},
                            {"differences", difference_table(report)},
                            {"common", common_settings(report)},
                            {"runs", run_table(report)},
                            {"data", escape_json(data)},
                            {"plotly", std::string(plotly_base64())},
                            {"style", std::string(page_css())},
                            {"script", std::string(charts_js()) + std::string(page_js())}});
}

}  // namespace decorr::report
