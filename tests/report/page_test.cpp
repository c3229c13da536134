#include "decorr/report/page.h"

#include "decorr/report/chart_data.h"
#include "decorr/report/csv.h"
#include "decorr/report/html.h"
#include "decorr/report/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include "tests/report/support.h"
#include <stdexcept>

namespace decorr::report {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::names_in;
using testing_support::TemporaryFolder;

constexpr const char* kNasty = "</script><b>&\"'";

Report nasty_report() {
  Report report;
  report.title = kNasty;
  report.groups = {{kNasty, {make_run(kNasty, 1, {0.5})}},
                   {"dec", {make_run("d", 1, {0.6}, "copi")}}};
  report.groups[0].runs[0].settings["data.root"] = kNasty;
  report.notes = {kNasty};
  report.targets = {{0.5, kNasty}};
  return report;
}

TEST(ReportHtml, Escapes) {
  EXPECT_EQ(escape(kNasty), "&lt;/script&gt;&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape_json("[\"</script>&\"]"), "[\"\\u003c/script\\u003e\\u0026\"]");
}

TEST(ReportHtml, FillsOnceAndMissesNothing) {
  EXPECT_EQ(fill("a{{x}}b{{y}}c{{x}}", {{"x", "{{y}}"}, {"y", "2"}}), "a{{y}}b2c{{y}}");
  EXPECT_EQ(fill("a { b } {{", {}), "a { b } {{");
  EXPECT_THROW(fill("{{x}}", {}), std::invalid_argument);
}

TEST(ReportHtml, ShowsThreeSignificantDigits) {
  EXPECT_EQ(significant(0), "0");
  EXPECT_EQ(significant(0.012345), "0.0123");
  EXPECT_EQ(significant(4.5678), "4.57");
  EXPECT_EQ(significant(12345.6), "12346");
  EXPECT_EQ(significant(kUnknown), "–");
  EXPECT_THAT(percent_cell(0.86543, 0.0012).html, HasSubstr("86.54"));
  EXPECT_THAT(percent_cell(0.86543, 0.0012).html, HasSubstr("± 0.12"));
  EXPECT_THAT(percent_cell(0.86543, kUnknown).html, Not(HasSubstr("±")));
  EXPECT_EQ(percent_cell(kUnknown, kUnknown).sort, "");
}

TEST(ReportPage, EscapesWhateverIsWrittenByOthers) {
  const std::string page = html_page(nasty_report());
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, HasSubstr("<title>&lt;/script&gt;&lt;b&gt;&amp;&quot;&#39;</title>"));
  std::size_t scripts = 0;
  for (auto at = page.find("</script>"); at != std::string::npos;
       at = page.find("</script>", at + 1))
    ++scripts;
  EXPECT_EQ(scripts, 3U);
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(ReportPage, ReplacesBytesThatAreNoText) {
  Report report = nasty_report();
  report.groups[0].name = "caf\xe9";
  EXPECT_NO_THROW(html_page(report));
}

TEST(ReportPage, AsksForNothingFromElsewhere) {
  const std::string page = html_page(nasty_report());
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* outside : {"src=\"http", "href=\"http", "url(", "@import"})
    EXPECT_THAT(page, Not(HasSubstr(outside))) << outside;
  EXPECT_THAT(page, HasSubstr("MIT licence"));
}

TEST(ReportPage, IsTheSameForTheSameRuns) {
  const TemporaryFolder folder;
  for (const std::int64_t seed : {1, 2}) {
    write_run(folder / ("dec-" + std::to_string(seed)), seed, {0.5, 0.6});
    write_run(folder / ("plain-" + std::to_string(seed)), seed, {0.4, 0.5}, "none");
  }
  const auto pages = [&] { return html_page(make_report({folder.path()}, {})); };
  const std::string first = pages();
  EXPECT_EQ(first, pages());
  EXPECT_THAT(first, HasSubstr("4 runs in 2 groups on fashion-mnist"));
}

TEST(ReportPage, GivesChartsWhatTheyDraw) {
  Report report = nasty_report();
  report.groups[1].runs.push_back(make_run("d2", 2, {0.8}, "copi"));
  const auto data = chart_data(report);
  EXPECT_EQ(data["groups"][0]["name"], kNasty);
  EXPECT_TRUE(data["groups"][0]["plain"]);
  const auto& curve = data["groups"][1]["curves"]["test_acc"];
  EXPECT_EQ(curve["mean"][0], 0.7);
  EXPECT_EQ(curve["error"][0], 0.1);
  EXPECT_EQ(curve["count"][0], 2);
  EXPECT_TRUE(data["groups"][0]["curves"]["test_acc"]["error"][0].is_null());
  EXPECT_FALSE(data["groups"][1]["curves"].contains("test_top5"));
  EXPECT_EQ(data["metrics"].size(), 4U);
  EXPECT_FALSE(data.contains("title"));
}

TEST(ReportTables, HaveTopFiveOnlyWhereItWasMeasured) {
  Report report = nasty_report();
  EXPECT_THAT(score_table(report), Not(HasSubstr("top-5")));
  report.groups[1].runs[0].epochs[0].values[kTop5] = 0.9123;
  EXPECT_THAT(score_table(report), HasSubstr("Last top-5 accuracy"));
  EXPECT_THAT(score_table(report), HasSubstr("91.23 %"));
  EXPECT_EQ(chart_data(report)["metrics"].size(), 5U);
}

TEST(ReportTables, SayHowTheBestEpochWasPicked) {
  Report report = nasty_report();
  EXPECT_THAT(score_table(report), HasSubstr("picked on the test set"));
  EXPECT_THAT(score_table(report), Not(HasSubstr("lowest validation loss")));
  report.groups[0].runs[0].epochs[0].values[kValidationLoss] = 0.5;
  EXPECT_THAT(score_table(report), HasSubstr("picked on the test set"));
  EXPECT_THAT(score_table(report), HasSubstr("lowest validation loss"));
  report.groups[1].runs[0].epochs[0].values[kValidationLoss] = 0.5;
  EXPECT_THAT(score_table(report), Not(HasSubstr("picked on the test set")));
  EXPECT_THAT(score_table(report), HasSubstr("lowest validation loss"));
}

// Five seeds: two came to their end, one diverged at once, one later, and one is at work.
Report report_of_trouble() {
  Report report = nasty_report();
  Group& group = report.groups[1];
  for (const std::int64_t seed : {2, 3, 4, 5})
    group.runs.push_back(make_run("d", seed, {0.6}, "copi"));
  group.runs[1].epochs.clear();
  group.runs[1].status = group.runs[2].status = train::RunStatus::kDiverged;
  group.runs[3].status = train::RunStatus::kRunning;
  return report;
}

TEST(ReportTables, MarkSeedsThatDivergedOrAreNotFinished) {
  const std::string table = score_table(report_of_trouble());
  EXPECT_THAT(table, HasSubstr("5, 2 diverged, 1 unfinished"));
  EXPECT_THAT(table, HasSubstr("counts with the last epoch it has"));
  EXPECT_THAT(score_table(nasty_report()), Not(HasSubstr("diverged")));
  EXPECT_THAT(final_csv(report_of_trouble()), HasSubstr("dec,5,2,1,1,0.6,0,0,"));
}

TEST(ReportTables, CountSeedsThatHaveNoEpoch) {
  Report report = report_of_trouble();
  EXPECT_THAT(time_table(report), HasSubstr("4 of 5 seeds"));
  EXPECT_THAT(run_table(report), HasSubstr("diverged"));
  EXPECT_NO_THROW(html_page(report));
  Group& group = report.groups[1];
  group.runs = {group.runs[1]};  // no seed of it has one
  EXPECT_THAT(time_table(report), HasSubstr("0 of 1 seeds"));
  EXPECT_THAT(final_csv(report), HasSubstr("dec,1,1,0,0,,,,"));
  EXPECT_NO_THROW(html_page(report));
  EXPECT_FALSE(default_targets(report.groups).empty());
}

TEST(ReportTables, TellDifferencesFromWhatIsShared) {
  const Report report = nasty_report();
  EXPECT_THAT(difference_table(report), HasSubstr("decorrelation.method"));
  EXPECT_THAT(difference_table(report), Not(HasSubstr("optimizer.lr")));
  EXPECT_THAT(common_settings(report), HasSubstr("optimizer.lr"));
  EXPECT_THAT(common_settings(report), Not(HasSubstr("decorrelation.method")));
}

TEST(ReportCsv, HasARowForEach) {
  Report report = nasty_report();
  report.groups[0].name = "a,\"b\"";
  EXPECT_EQ(curves_csv(report).substr(0, curves_csv(report).find('\n')),
            "group,seed,run,epoch,step,seconds,test_acc,train_loss,test_loss,train_acc,test_top5,"
            "validation_acc,validation_loss");
  EXPECT_THAT(curves_csv(report), HasSubstr("dec,1,d,1,10,2,0.6,0.4,"));
  EXPECT_THAT(curves_csv(report), HasSubstr("\"a,\"\"b\"\"\",1,"));
  EXPECT_THAT(final_csv(report), HasSubstr("dec,1,0,0,1,0.6,,,0.6,,,"));
  EXPECT_THAT(time_to_accuracy_csv(report), HasSubstr(",dec,1,1,1,,,2,,,\"a,\"\"b\"\"\",1,,,1\n"));
  EXPECT_EQ(layers_csv(report),
            "group,seed,epoch,layer,energy,input_energy,matrix_norm,updates,skipped,shortened,"
            "gradient_angle,norm_ratio,feedback_angle\n");
}

TEST(ReportCsv, WritesFourFiles) {
  const TemporaryFolder folder;
  write_csv(nasty_report(), folder / "new/tables");
  EXPECT_THAT(
      names_in(folder / "new/tables"),
      testing::ElementsAre("curves.csv", "final.csv", "layers.csv", "time_to_accuracy.csv"));
  write_text(folder / "file", "text");
  EXPECT_THROW(write_csv(nasty_report(), folder / "file/inside"), std::runtime_error);
}

}  // namespace
}  // namespace decorr::report
