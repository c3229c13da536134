#include "decorr/report/run.h"

#include "decorr/report/collect.h"
#include "decorr/train/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include "tests/report/support.h"
#include <cmath>
#include <stdexcept>

namespace decorr::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;
using testing_support::TemporaryFolder;

TEST(ReportRun, ReadsEpochsAndLayers) {
  const TemporaryFolder folder;
  write_run(folder / "a-7", 7, {0.5, 0.75});
  const report::Run run = read_run(folder / "a-7");
  EXPECT_EQ(run.name, "a-7");
  EXPECT_EQ(run.seed, 7);
  EXPECT_EQ(run.status, train::RunStatus::kCompleted);
  EXPECT_EQ(run.setting("decorrelation.method"), "\"norm-preserving\"");
  EXPECT_EQ(run.setting("optimizer.momentum"), "");
  ASSERT_EQ(run.epochs.size(), 2U);
  EXPECT_EQ(run.epochs[1].seconds, 4.0);
  EXPECT_EQ(run.epochs[1].values[kTestAccuracy], 0.75);
  EXPECT_TRUE(std::isnan(run.epochs[1].values[kValidationLoss]));
  ASSERT_EQ(run.epochs[1].layers.size(), 1U);
  EXPECT_EQ(run.epochs[1].layers[0].path, "layers.0");
  EXPECT_EQ(run.epochs[1].layers[0].values[kEnergy], 0.5);
  EXPECT_TRUE(std::isnan(run.epochs[1].layers[0].values[kGradientAngle]));
}

TEST(ReportRun, ReadsWhatIsNotFiniteAsUnknown) {
  const TemporaryFolder folder;
  write_run(folder.path(), 1, {0.5});
  std::string row = metrics_row(1, 0.5);
  row.replace(row.find("0.625"), 5, "null");
  write_text(folder / "metrics.jsonl", row);
  EXPECT_TRUE(std::isnan(read_run(folder.path()).epochs[0].values[kTestLoss]));
}

// Step 15 of 10 … 20: half of the second epoch was timed, 2 s, so all of it took 4 s.
TEST(ReportRun, EstimatesTheSecondsOfAnEpochThatWasResumed) {
  const TemporaryFolder folder;
  write_run(folder.path(), 1, {0.5, 0.75});
  write_text(folder / "metrics.jsonl",
             metrics_row(1, 0.5) + metrics_row(2, 0.75, ",\"resumed_at_step\":15"));
  const report::Run run = read_run(folder.path());
  EXPECT_DOUBLE_EQ(run.epochs[1].seconds, 6.0);
  EXPECT_THAT(run.resumed, ElementsAre(2));
}

TEST(ReportRun, NamesTheLineThatIsDamaged) {
  const TemporaryFolder folder;
  write_run(folder.path(), 1, {0.5});
  const auto failure = [&](const std::string& second) {
    write_text(folder / "metrics.jsonl", metrics_row(1, 0.5) + second);
    return error_of<std::runtime_error>([&] { read_run(folder.path()); });
  };
  const std::string place = (folder / "metrics.jsonl").string() + ":2";
  EXPECT_THAT(failure("nonsense\n"), HasSubstr(place));
  EXPECT_THAT(failure("{\"epoch\":2,\"step\":20}\n"), HasSubstr(place + ", \"train_seconds\""));
  EXPECT_THAT(failure("{\"epoch\":\"two\",\"step\":20}\n"), HasSubstr(place + ", \"epoch\""));
  EXPECT_THAT(failure(metrics_row(1, 0.5)), HasSubstr(place + ", \"epoch\""));
  EXPECT_THAT(failure(metrics_row(2, 0.5, ",\"validation_acc\":\"high\"")),
              HasSubstr(place + ", \"validation_acc\""));
  EXPECT_THAT(failure(metrics_row(2, 0.5, ",\"resumed_at_step\":20")),
              HasSubstr(place + ", \"resumed_at_step\""));
}

TEST(ReportCollect, FindsRunsAtAnyDepthOnce) {
  const TemporaryFolder folder;
  write_run(folder / "b/deep/run", 1, {0.5});
  write_run(folder / "a", 1, {0.5});
  write_run(folder / "a/checkpoints/inner", 1, {0.5});  // no run of its own
  std::filesystem::create_directory_symlink(folder.path(), folder / "loop");
  const Collection found = collect({folder / "b/deep/run", folder.path(), folder / "a"});
  ASSERT_EQ(found.runs.size(), 2U);
  EXPECT_EQ(found.runs[0].path, folder / "b/deep/run");
  EXPECT_EQ(found.runs[1].path, folder / "a");
  EXPECT_THAT(found.notes, ElementsAre());
}

TEST(ReportCollect, LeavesOutRunsWithoutAnEpoch) {
  const TemporaryFolder folder;
  write_run(folder / "begun", 1, {});
  EXPECT_THAT(error_of<std::invalid_argument>([&] { collect({folder.path()}); }),
              HasSubstr("no run has a whole epoch yet"));
  write_text(folder / "begun/summary.json", "{\"status\":\"stopped-early\",\"epochs\":0}");
  write_run(folder / "done", 1, {0.5});
  write_text(folder / "locked/config.toml", "");
  write_text(folder / "locked/lock", "");
  write_text(folder / "no run/config.toml", "");
  const Collection found = collect({folder.path()});
  EXPECT_EQ(found.runs.size(), 1U);
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("begun has no whole epoch (stopped-early)"),
                                       HasSubstr("locked has no whole epoch yet (killed)")));
}

TEST(ReportCollect, KeepsRunsThatDivergedInTheirFirstEpoch) {
  const TemporaryFolder folder;
  const std::string diverged = "{\"status\":\"diverged\",\"epochs\":0}";
  write_run(folder / "a-1", 1, {});
  write_text(folder / "a-1/summary.json", diverged);
  EXPECT_THAT(error_of<std::invalid_argument>([&] { collect({folder.path()}); }),
              HasSubstr("no run has a whole epoch, all of them diverged in their first, " +
                        folder.path().string()));
  write_run(folder / "a-2", 2, {0.5});
  const Collection found = collect({folder.path()});
  ASSERT_EQ(found.runs.size(), 2U);
  EXPECT_EQ(found.runs[0].status, train::RunStatus::kDiverged);
  EXPECT_THAT(found.runs[0].epochs, testing::IsEmpty());
  EXPECT_THAT(found.notes, ElementsAre());
}

TEST(ReportCollect, RefusesWhatHoldsNoRun) {
  const TemporaryFolder folder;
  const auto failure = [&](const std::filesystem::path& path) {
    return error_of<std::invalid_argument>([&] { collect({path}); });
  };
  EXPECT_THAT(failure(folder / "nowhere"), HasSubstr("no such folder"));
  EXPECT_THAT(failure(folder.path()), HasSubstr("not a run directory and no folder of runs"));
  EXPECT_THAT(failure(folder.path()), HasSubstr("config.toml and metrics.jsonl or lock"));
  write_text(folder / "file", "text");
  EXPECT_THAT(failure(folder / "file"), HasSubstr("not a folder"));
}

}  // namespace
}  // namespace decorr::report
