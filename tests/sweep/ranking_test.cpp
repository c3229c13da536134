#include "decorr/sweep/ranking.h"

#include "decorr/sweep/sweep_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sweep/support.h"
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace decorr::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_support::kLoss;
using testing_support::SweepFolder;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

RunResult completed(double metric) { return {RunState::kCompleted, metric, 2, 1.0}; }
RunResult ended(RunState state) { return {state, 0.0, 1, 1.0}; }

// Three learning rates, one seed.
Plan three() { return SweepFolder().plan(kLoss + "[grid]\noptimizer.lr = [0.1, 0.2, 0.3]\n"); }

std::optional<std::size_t> best(const Plan& plan, const std::vector<RunResult>& results) {
  const auto settings = by_setting(plan, plan.runs, results);
  const auto groups = choose(plan, settings, plan.file.metric);
  return groups.at(0).best;
}

TEST(Choose, TheLeastOrTheGreatest) {
  Plan plan = three();
  const std::vector<RunResult> results{completed(3), completed(1), completed(2)};
  EXPECT_EQ(best(plan, results), 1U);
  plan.file.metric.direction = "max";
  EXPECT_EQ(best(plan, results), 0U);
}

TEST(Choose, TheFirstOfSeveralEqualOnes) {
  EXPECT_EQ(best(three(), {completed(2), completed(1), completed(1)}), 1U);
}

TEST(Choose, NeverWhatDivergedStoppedOrHasNoNumber) {
  const Plan plan = three();
  for (const RunState state : {RunState::kDiverged, RunState::kStopped, RunState::kPending})
    EXPECT_EQ(best(plan, {ended(state), completed(5), completed(6)}), 1U);
  EXPECT_EQ(best(plan, {completed(kNaN), completed(5), completed(6)}), 1U);
  EXPECT_EQ(best(plan, {completed(kNaN), ended(RunState::kDiverged), ended(RunState::kStopped)}),
            std::nullopt);
}

TEST(Choose, AveragesOverSeeds) {
  const Plan plan =
      SweepFolder().plan(kLoss + "seeds = [1, 2]\n[grid]\noptimizer.lr = [0.1, 0.2]\n");
  const std::vector<RunResult> results{completed(1), completed(5), completed(2), completed(3)};
  EXPECT_EQ(best(plan, results), 1U);
  const auto settings = by_setting(plan, plan.runs, results);
  EXPECT_EQ(settings[1].metric.mean, 2.5);
  EXPECT_EQ(settings[1].metric.standard_error, 0.5);
  // One seed of two diverged: the setting is not to be relied on.
  EXPECT_EQ(best(plan, {completed(1), ended(RunState::kDiverged), completed(2), completed(3)}), 1U);
}

TEST(Choose, WithinEachGroup) {
  const Plan plan = SweepFolder().plan(
      kLoss +
      "[grid]\noptimizer.lr = [0.1, 0.2]\n[[variant]]\nname = \"a\"\nset = {train.epochs = "
      "1}\n[[variant]]\nname = \"b\"\nset = {train.epochs = 2}\n");
  const auto settings =
      by_setting(plan, plan.runs, {completed(1), completed(2), completed(9), completed(8)});
  const auto groups = choose(plan, settings, plan.file.metric);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].best, 0U);
  EXPECT_EQ(groups[1].best, 3U);
  EXPECT_THAT(groups[1].values, ElementsAre("b"));
}

TEST(EdgeNotes, NameTheAxisThatShouldGoOn) {
  const Plan plan = three();
  const auto notes = [&](const std::vector<RunResult>& results) {
    const auto settings = by_setting(plan, plan.runs, results);
    return edge_notes(plan, settings, choose(plan, settings, plan.file.metric));
  };
  EXPECT_THAT(notes({completed(3), completed(1), completed(2)}), IsEmpty());
  EXPECT_THAT(
      notes({completed(3), completed(2), completed(1)}),
      ElementsAre(
          "the best optimizer.lr is 0.3, the greatest value of its grid: extend the grid there"));
  EXPECT_THAT(notes({completed(1), completed(2), completed(3)}),
              ElementsAre(HasSubstr("0.1, the least")));
}

TEST(EdgeNotes, OneValueHasNoEdge) {
  const Plan plan =
      SweepFolder().plan(kLoss + "[grid]\noptimizer.lr = [0.1]\nmodel.bias = [true, false]\n");
  const auto settings = by_setting(plan, plan.runs, {completed(1), completed(2)});
  EXPECT_THAT(edge_notes(plan, settings, choose(plan, settings, plan.file.metric)), IsEmpty());
}

TEST(Metric, CurvesCountTheLastOrTheBestEpoch) {
  const std::vector<nlohmann::ordered_json> rows{
      {{"test_acc", 0.5}}, {{"test_acc", 0.7}}, {{"test_acc", nullptr}}, {{"test_acc", 0.6}}};
  const Metric last{"test_acc", "max", "last"}, best_epoch{"test_acc", "max", "best"};
  EXPECT_THAT(last.curve(rows), ElementsAre(0.5, 0.7, testing::IsNan(), 0.6));
  EXPECT_THAT(best_epoch.curve(rows), ElementsAre(0.5, 0.7, 0.7, 0.7));
  EXPECT_EQ(natural_direction("train_loss"), "min");
  EXPECT_EQ(natural_direction("validation_acc"), "max");
  EXPECT_EQ(natural_direction("samples_per_second"), "max");
}

TEST(SweepTables, ShowMeansErrorsAndReasons) {
  const Plan plan = SweepFolder().plan(
      "[sweep]\nmetric = \"test_acc\"\nseeds = [1, 2]\n[grid]\noptimizer.lr = [0.1, 0.2]\n");
  const PhaseResults search{
      "search",
      plan.file.metric,
      plan.runs,
      {completed(0.5), completed(0.6), ended(RunState::kDiverged), ended(RunState::kStopped)}};
  const std::string table = best_table(plan, search);
  EXPECT_THAT(table, HasSubstr("test_acc [%]"));
  EXPECT_THAT(table, HasSubstr("55.00 ± 5.00"));
  EXPECT_THAT(table, HasSubstr("the least value of its grid"));
  EXPECT_THAT(settings_table(plan, search), HasSubstr("1 of 2 diverged, 1 of 2 stopped"));
  const std::string csv = results_csv(plan, {search});
  EXPECT_THAT(csv, HasSubstr("phase,run,variant,optimizer.lr,seed,status,metric,value,epochs"));
  EXPECT_THAT(csv, HasSubstr("search,optimizer.lr=0.2-seed=1,,0.2,1,diverged,test_acc,"));
  const auto json = results_json(plan, {search});
  EXPECT_EQ(json["runs"].size(), 4U);
  EXPECT_EQ(json["runs"][0]["settings"]["optimizer.lr"], 0.1);
  EXPECT_EQ(json["groups"][0]["best"], "optimizer.lr=0.1");
}

TEST(Metric, SecondsOfAResumedEpochAreThoseOfAllOfIt) {
  train::RunRecord record;
  record.status = train::RunStatus::kCompleted;
  record.epochs = {
      {{"step", 10}, {"train_seconds", 2.0}, {"eval_seconds", 0.5}},
      {{"step", 20}, {"train_seconds", 2.0}, {"eval_seconds", 0.5}, {"resumed_at_step", 15}}};
  const RunResult result = result_of(record, {"train_seconds", "min", "last"});
  EXPECT_EQ(result.metric, 4.0);
  EXPECT_EQ(result.seconds, 7.0);
}

TEST(SweepTables, SayWhenSettingsWereChosenByTestImages) {
  const auto table = [](const std::string& metric, const std::string& grid) {
    const Plan plan = SweepFolder().plan("[sweep]\nmetric = \"" + metric +
                                         "\"\n[set]\ndata.validation = 10\n" + grid);
    return best_table(plan, {"search", plan.file.metric, plan.runs,
                             std::vector<RunResult>(plan.runs.size(), completed(0.5))});
  };
  const std::string grid = "[grid]\noptimizer.lr = [0.1, 0.2]\n";
  EXPECT_THAT(table("test_acc", grid), HasSubstr("chosen by test_acc, on the test images"));
  EXPECT_THAT(table("test_loss", grid), HasSubstr("chosen by test_loss, on the test images"));
  EXPECT_THAT(table("validation_acc", grid), testing::Not(HasSubstr("test images")));
  EXPECT_THAT(table("test_acc", ""), testing::Not(HasSubstr("test images")));
}

TEST(SweepTables, BarsInNamesBeginNoCell) {
  EXPECT_EQ(markdown_table({{"a|b"}, {"–"}}), "| a\\|b |\n|------|\n| –    |\n");
}

TEST(SweepTables, ColumnsAreAligned) {
  EXPECT_EQ(markdown_table({{"a", "b ± c"}, {"long", "–"}}),
            "| a    | b ± c |\n|------|-------|\n| long | –     |\n");
}

}  // namespace
}  // namespace decorr::sweep
