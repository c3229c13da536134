#include "decorr/io/atomic_file.h"
#include "decorr/report/csv.h"
#include "decorr/report/figures.h"
#include "decorr/report/page.h"
#include "decorr/report/report.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/decorr/commands.h"
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace decorr::app {
namespace {

namespace fs = std::filesystem;

struct ReportArguments {
  std::vector<std::string> runs;
  std::string out = "report.html";
  std::string png;
  std::string svg;
  std::string csv;
  report::ReportOptions options;
};

constexpr const char* kReportFooter = R"(Example:
  decorr report runs/plain-42 runs/plain-43 runs/decorrelated-42 runs/decorrelated-43 -o report.html
  decorr report runs --title "Feedback alignment" --target 0.85,0.88 --csv tables --svg figures)";

// Before anything is read, which may take long.
void check_outputs(const ReportArguments& arguments) {
  if (arguments.out.empty() || fs::is_directory(arguments.out))
    throw BadInput(fmt::format("not the name of a file: \"{}\", --out, give one like report.html",
                               arguments.out));
  const std::pair<const char*, const std::string&> folders[] = {
      {"--png", arguments.png}, {"--svg", arguments.svg}, {"--csv", arguments.csv}};
  for (const auto& [option, folder] : folders)
    if (!folder.empty() && fs::exists(folder) && !fs::is_directory(folder))
      throw BadInput(fmt::format("not a folder: \"{}\", {}, give a folder", folder, option));
}

// Up to here nothing is written: a run that cannot be read is bad input too.
report::Report read(const ReportArguments& arguments) try {
  return report::make_report({arguments.runs.begin(), arguments.runs.end()}, arguments.options);
} catch (const std::runtime_error& error) {
  throw BadInput(error.what());
}

int write(const ReportArguments& arguments) {
  check_outputs(arguments);
  const report::Report result = read(arguments);
  for (const std::string& note : result.notes) fmt::print(stderr, "decorr: warning: {}\n", note);
  if (!arguments.csv.empty()) report::write_csv(result, arguments.csv);
  std::vector<report::FigureFolder> figures;
  if (!arguments.png.empty()) figures.push_back({arguments.png, "png"});
  if (!arguments.svg.empty()) figures.push_back({arguments.svg, "svg"});
  report::write_figures(result, figures);
  io::write_file_atomically(arguments.out, report::html_page(result));
  std::size_t runs = 0;
  for (const report::Group& group : result.groups) {
    fmt::print("{}: {} run{}\n", group.name, group.runs.size(), group.runs.size() == 1 ? "" : "s");
    runs += group.runs.size();
  }
  fmt::print("{} run{} in {}\n", runs, runs == 1 ? "" : "s", arguments.out);
  return kSuccess;
}

}  // namespace

void add_report(CLI::App& program, int& exit_code) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = program.add_subcommand(
      "report", "Compare runs: a page with charts and tables, figures, tables for other programs.");
  command->footer(kReportFooter);
  command->add_option("RUN", arguments->runs, "Run directories, or folders with runs at any depth")
      ->required();
  command->add_option("-o,--out", arguments->out, "The page, one HTML file (report.html)");
  command->add_option("--png", arguments->png, "Folder for figures as PNG");
  command->add_option("--svg", arguments->svg, "Folder for figures as SVG");
  command->add_option("--csv", arguments->csv, "Folder for the numbers as CSV");
  command->add_option("--title", arguments->options.title, "Title of the page");
  command
      ->add_option("--group-by", arguments->options.group_by,
                   "Keys of the configuration; runs that agree in them are one series (all runs "
                   "that differ in the seed alone)")
      ->delimiter(',');
  command
      ->add_option("--target", arguments->options.targets,
                   "Test accuracies for the time to accuracy: 0.86,90%")
      ->delimiter(',');
  command->callback([arguments, &exit_code] { exit_code = write(*arguments); });
}

}  // namespace decorr::app
