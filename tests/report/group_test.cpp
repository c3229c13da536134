#include "decorr/report/group_names.h"
#include "decorr/report/groups.h"
#include "decorr/report/notes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include "tests/report/support.h"
#include <stdexcept>

namespace decorr::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;

std::vector<std::string> names(const Grouping& grouping) {
  std::vector<std::string> result;
  for (const Group& group : grouping.groups) result.push_back(group.name);
  return result;
}

Run with(report::Run run, const std::string& key, const std::string& value) {
  run.settings[key] = value;
  return run;
}

TEST(ReportGroups, PutsSeedsTogetherInOrder) {
  const Grouping grouping =
      group_runs({make_run("r/dec-43", 43, {0.5}, "copi"), make_run("r/plain-42", 42, {0.5}),
                  make_run("r/dec-42", 42, {0.5}, "copi")});
  EXPECT_THAT(names(grouping), ElementsAre("dec", "plain"));
  ASSERT_EQ(grouping.groups[0].runs.size(), 2U);
  EXPECT_EQ(grouping.groups[0].runs[0].seed, 42);
  EXPECT_FALSE(grouping.groups[0].is_plain());
  EXPECT_TRUE(grouping.groups[1].is_plain());
  EXPECT_THAT(grouping.notes, ElementsAre());
}

TEST(ReportGroups, IgnoresWhatHasNoInfluence) {
  const report::Run run = make_run("r/a-1", 1, {0.5});
  for (const char* key : {"train.threads", "train.keep", "train.checkpoint_every", "data.root",
                          "data.prefetch", "train.epochs", "train.early_stopping"})
    EXPECT_EQ(group_runs({run, with(make_run("r/a-2", 2, {0.5}), key, "7")}).groups.size(), 1U)
        << key;
  for (const char* key : {"optimizer.lr", "data.validation", "train.precision"})
    EXPECT_EQ(group_runs({run, with(make_run("r/a-2", 2, {0.5}), key, "7")}).groups.size(), 2U)
        << key;
}

TEST(ReportGroups, LengthMattersIfTheRateFollowsIt) {
  std::vector<report::Run> runs = {make_run("r/a-1", 1, {0.5}), make_run("r/a-2", 2, {0.5, 0.6})};
  for (report::Run& run : runs) {
    run.settings["optimizer.schedule"] = "\"cosine\"";
    run.settings["optimizer.total"] = "0";
  }
  EXPECT_EQ(group_runs(runs).groups.size(), 2U);
  for (report::Run& run : runs) run.settings["optimizer.total"] = "100";
  EXPECT_EQ(group_runs(runs).groups.size(), 1U);
}

TEST(ReportGroups, KeepsTheLongestOfDuplicates) {
  const Grouping grouping =
      group_runs({make_run("r/a", 1, {0.5}), make_run("r/b", 1, {0.5, 0.6}),
                  make_run("r/c", 1, {0.5, 0.7}), make_run("r/a-2", 2, {0.5})});
  ASSERT_EQ(grouping.groups.size(), 1U);
  ASSERT_EQ(grouping.groups[0].runs.size(), 2U);
  EXPECT_EQ(grouping.groups[0].runs[0].path, "r/b");
  EXPECT_THAT(grouping.notes,
              ElementsAre("r/a has the settings and the seed of r/b and is left out",
                          "r/c has the settings and the seed of r/b and is left out"));
}

TEST(ReportGroups, GroupsByKeys) {
  const std::vector<report::Run> runs = {make_run("r/x", 1, {0.5}),
                                         make_run("r/y", 1, {0.5}, "copi"),
                                         with(make_run("r/z", 1, {0.5}), "optimizer.lr", "0.1")};
  const Grouping grouping = group_runs(runs, {"decorrelation.method"});
  EXPECT_THAT(names(grouping), ElementsAre("none, lr 0.001 | 0.1", "copi, lr 0.001"));
  EXPECT_THAT(grouping.notes,
              ElementsAre("none, lr 0.001 | 0.1 puts runs together that differ in optimizer.lr"));
  EXPECT_EQ(grouping.groups[0].setting("optimizer.lr"), "0.001 | 0.1");
  EXPECT_THAT(error_of<std::invalid_argument>([&] { group_runs(runs, {"optimiser.lr"}); }),
              HasSubstr("did you mean \"optimizer.lr\"?"));
}

TEST(ReportGroupNames, KnowsEndingsThatTellASeed) {
  EXPECT_EQ(without_seed("ba-fa-plain-42", 42), "ba-fa-plain");
  EXPECT_EQ(without_seed("plain_seed42", 42), "plain");
  EXPECT_EQ(without_seed("plain-seed-42", 42), "plain");
  EXPECT_EQ(without_seed("plain-s42", 42), "plain");
  EXPECT_EQ(without_seed("plain-seed", 42), "plain");
  EXPECT_EQ(without_seed("seed-42", 42), "");
  EXPECT_EQ(without_seed("42", 42), "");
  EXPECT_EQ(without_seed("plain-42", 43), "plain-42");
  EXPECT_EQ(without_seed("cifar10", 10), "cifar10");
  EXPECT_EQ(without_seed("lr-142", 42), "lr-142");
  EXPECT_EQ(without_seed("lr-0.42", 42), "lr-0.42");
  EXPECT_EQ(without_seed("lr-3e-4", 4), "lr-3e-4");
  EXPECT_EQ(without_seed("runs-42", 42), "runs");
  EXPECT_EQ(without_seed("plain", 42), "plain");
  EXPECT_EQ(without_seed("plain-seed=42", 42), "plain");
  EXPECT_EQ(without_seed("plain-optimizer.lr=0.001-seed=42", 42), "plain-optimizer.lr=0.001");
  EXPECT_EQ(without_seed("a-model.hidden=_64_-seed=42-0123abcd", 42), "a-model.hidden=_64");
  EXPECT_EQ(without_seed("seed=42", 42), "");
  EXPECT_EQ(without_seed("plain-lr=42", 42), "plain-lr=42");
  EXPECT_EQ(without_seed("plain-seed=142", 42), "plain-seed=142");
  EXPECT_EQ(without_seed("plain-seed=", 42), "plain-seed=");
  EXPECT_EQ(without_seed("plain-reseed=42", 42), "plain-reseed=42");
  EXPECT_EQ(without_seed("plain-0123abcd", 42), "plain-0123abcd");
}

// A run in a folder of a sweep.
Run sweep_run(const std::string& path, std::int64_t seed, const std::string& lr,
              const std::string& method = "none") {
  return with(make_run(path + "-seed=" + std::to_string(seed), seed, {0.5}, method), "optimizer.lr",
              lr);
}

TEST(ReportGroupNames, AreTheVariantsOfASweepIfThatTellsThemApart) {
  const std::vector<report::Run> runs = {
      sweep_run("/s/final/bp-optimizer.lr=0.0003", 1, "0.0003"),
      sweep_run("/s/final/bp-optimizer.lr=0.0003", 2, "0.0003"),
      sweep_run("/s/final/bp-batch-norm-optimizer.lr=0.001", 1, "0.001", "batch-norm"),
      sweep_run("/s/final/fa-published", 1, "0.001", "copi")};
  EXPECT_THAT(names(group_runs(runs)), ElementsAre("bp", "bp-batch-norm", "fa-published"));
  EXPECT_THAT(names(group_runs({runs[0]})), ElementsAre("bp"));
}

TEST(ReportGroupNames, KeepTheSettingsOfASweepThatTellThemApart) {
  EXPECT_THAT(names(group_runs({sweep_run("/s/runs/bp-optimizer.lr=0.1", 1, "0.1"),
                                sweep_run("/s/runs/bp-optimizer.lr=0.2", 1, "0.2"),
                                sweep_run("/s/runs/bp-bn-optimizer.lr=0.1", 1, "0.1", "copi")})),
              ElementsAre("bp-optimizer.lr=0.1", "bp-optimizer.lr=0.2", "bp-bn-optimizer.lr=0.1"));
  EXPECT_THAT(names(group_runs({sweep_run("/s/runs/bp-optimizer.lr=0.1", 1, "0.1"),
                                sweep_run("/s/runs/bp-optimizer.lr=0.2", 1, "0.2")})),
              ElementsAre("optimizer.lr=0.1", "optimizer.lr=0.2"));
  EXPECT_THAT(names(group_runs({sweep_run("/s/runs/optimizer.lr=0.1", 1, "0.1"),
                                sweep_run("/s/runs/optimizer.lr=0.2", 1, "0.2")})),
              ElementsAre("optimizer.lr=0.1", "optimizer.lr=0.2"));
}

TEST(ReportGroupNames, TellsTheSameVariantOfTwoSweepsApart) {
  EXPECT_THAT(names(group_runs({sweep_run("/s/dense/final/bp-optimizer.lr=0.1", 1, "0.1"),
                                sweep_run("/s/conv/final/bp-optimizer.lr=0.2", 1, "0.2")})),
              ElementsAre("dense/final/bp", "conv/final/bp"));
}

TEST(ReportGroupNames, LooksAtTheFolderAroundANumber) {
  EXPECT_THAT(names(group_runs({make_run("/r/plain/seed-1", 1, {0.5}),
                                make_run("/r/plain/seed-2", 2, {0.5}),
                                make_run("/r/dec/1", 1, {0.5}, "copi")})),
              ElementsAre("plain", "dec"));
  EXPECT_THAT(names(group_runs(
                  {make_run("/r/a/run-1", 1, {0.5}), make_run("/r/b/run-1", 1, {0.5}, "copi")})),
              ElementsAre("a/run", "b/run"));
}

TEST(ReportGroupNames, LeavesOutCommonWords) {
  EXPECT_THAT(names(group_runs({make_run("/r/fm-fa-plain", 1, {0.5}),
                                make_run("/r/fm-fa-pruned", 1, {0.5}, "copi")})),
              ElementsAre("plain", "pruned"));
  EXPECT_THAT(
      names(group_runs({make_run("/r/lr-0.1", 1, {0.5}), make_run("/r/lr-0.2", 1, {0.5}, "copi")})),
      ElementsAre("lr-0.1", "lr-0.2"));
  EXPECT_THAT(
      names(group_runs({make_run("/r/fa", 1, {0.5}), make_run("/r/fa-plain", 1, {0.5}, "copi")})),
      ElementsAre("fa", "fa-plain"));
}

TEST(ReportGroupNames, TellsSettingsIfFoldersAreNumbered) {
  EXPECT_THAT(names(group_runs({make_run("/1/0001", 7, {0.5}), make_run("/1/0002", 8, {0.5}),
                                make_run("/1/0003", 7, {0.5}, "copi")})),
              ElementsAre("none", "copi"));
}

TEST(ReportNotes, SaysWhatIsNotComparable) {
  std::vector<report::Run> runs = {make_run("r/a-1", 1, {0.5, 0.6}), make_run("r/a-2", 2, {0.5}),
                                   make_run("r/b-1", 1, {0.5, 0.6, 0.7}, "copi")};
  EXPECT_THAT(notes(group_runs({runs[0]}).groups), ElementsAre());
  runs[1].status = train::RunStatus::kRunning;
  runs[1].settings["train.epochs"] = "2";
  runs[2].settings["train.threads"] = "2";
  runs[2].settings["data.name"] = "\"mnist\"";
  runs[2].resumed = {2};
  EXPECT_THAT(notes(group_runs(runs).groups),
              ElementsAre("the runs are on different data sets, whose accuracies do not compare: "
                          "\"fashion-mnist\", \"mnist\"",
                          "a, seed 2: the run is still running after 1 of 2 epochs (r/a-2)",
                          "a: its runs have between 1 and 2 epochs; curves go on with fewer seeds",
                          "2 epochs where others have 3: a",
                          "seconds do not compare: runs used different numbers of threads "
                          "(train.threads 1, 2)",
                          "b, seed 1: resumed in the middle of epoch 2, whose seconds are partly "
                          "estimated"));
}

}  // namespace
}  // namespace decorr::report
