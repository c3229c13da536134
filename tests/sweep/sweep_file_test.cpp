#include "decorr/sweep/sweep_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sweep/support.h"
#include <string>

namespace decorr::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::kLoss;
using testing_support::SweepFolder;

const char* const kPaper = R"(
[sweep]
metric = "train_loss"
seeds = [1, 2]
[set]
"data.validation" = 10000
[grid]
"optimizer.lr" = [1e-4, 3e-4]
[[variant]]
name = "plain"
set = { "decorrelation.method" = "none" }
[[variant]]
name = "decorrelated"
[variant.grid]
"decorrelation.lr" = [1e-3, 2e-3]
[stop]
grace_epochs = 3
[final]
seeds = [42, 43]
set = { "data.validation" = 0, train.epochs = 10 }
metric = "test_acc"
)";

TEST(SweepFile, ReadsWhatItSays) {
  const SweepFolder folder;
  const SweepFile file = folder.file(kPaper);
  EXPECT_EQ(file.config, (folder.folder() / "base.toml").string());
  EXPECT_EQ(file.method, "grid");
  EXPECT_EQ(file.metric.name, "train_loss");
  EXPECT_EQ(file.metric.direction, "min");
  EXPECT_EQ(file.metric.epoch, "last");
  EXPECT_THAT(file.seeds, ElementsAre(1, 2));
  EXPECT_THAT(file.group_by, ElementsAre("variant"));
  ASSERT_EQ(file.variants.size(), 2U);
  EXPECT_EQ(file.variants[1].axes.at(0).key, "decorrelation.lr");
  ASSERT_TRUE(file.stop.has_value());
  EXPECT_EQ(file.stop->grace_epochs, 3);
  ASSERT_TRUE(file.final_phase.has_value());
  EXPECT_EQ(file.final_phase->metric.direction, "max");
  EXPECT_EQ(file.final_phase->set.at(1).first, "train.epochs");
}

TEST(SweepFile, TextReadsBackAsTheSame) {
  const SweepFolder folder;
  const std::string random = kLoss +
                             "method = \"random\"\ntrials = 3\nseed = 7\ngroup_by = "
                             "[\"learning.rule\"]\n[random]\n\"optimizer.lr\" = { log_uniform = "
                             "[1e-5, 1e-2] }\n\"model.hidden\" = { choice = [[8], [8, 8]] }\n"
                             "\"train.batch_size\" = { int_uniform = [16, 64] }\n";
  for (const std::string& text : {std::string(kPaper), random}) {
    const std::string once = to_toml(folder.file(text));
    EXPECT_EQ(to_toml(parse_sweep_file(once, "other.toml")), once);
  }
}

TEST(SweepFile, KeysMayBeWrittenWithOrWithoutQuotes) {
  const SweepFolder folder;
  const SweepFile file =
      folder.file(kLoss + "[grid]\noptimizer.lr = [0.1, 0.2]\n\"train.epochs\" = [1, 2]\n");
  ASSERT_EQ(file.axes.size(), 2U);
  EXPECT_EQ(file.axes[0].key, "optimizer.lr");
  EXPECT_EQ(file.axes[1].key, "train.epochs");
}

TEST(SweepFile, UnknownKeysNameTheNearest) {
  const SweepFolder folder;
  EXPECT_EQ(folder.error(kLoss + "[grid]\n\"optimizer.rl\" = [1]\n"),
            "unknown key \"optimizer.rl\", s.toml:5, did you mean \"optimizer.lr\"?");
  EXPECT_EQ(folder.error(kLoss + "[grid]\noptimiser.lr = [1]\n"),
            "unknown key \"optimiser.lr\", s.toml:5, did you mean \"optimizer.lr\"?");
  EXPECT_EQ(folder.error("[sweep]\nmetrik = \"train_loss\"\n"),
            "unknown key \"sweep.metrik\" of a sweep, s.toml:3, did you mean \"sweep.metric\"?");
  EXPECT_THAT(folder.error(kLoss + "[gird]\n"), HasSubstr("did you mean \"grid\"?"));
  EXPECT_THAT(folder.error(kLoss + "[[variant]]\nname = \"a\"\nsets = {}\n"),
              HasSubstr("s.toml:6, did you mean \"variant.set\"?"));
  EXPECT_THAT(folder.error(kLoss + "[set]\noptimizer = 1\n"),
              HasSubstr("\"optimizer\" is a table, s.toml:5"));
  EXPECT_THAT(folder.error(kLoss + "group_by = [\"learning.rul\"]\n"),
              HasSubstr("s.toml:4, did you mean \"learning.rule\"?"));
  EXPECT_THAT(folder.error(kLoss + "[stop]\nrule = \"mean\"\n"), HasSubstr("s.toml:5"));
}

TEST(SweepFile, RefusesMetricsThatDoNotExist) {
  const SweepFolder folder;
  EXPECT_THAT(folder.error("[sweep]\nmetric = \"train_los\"\n"),
              HasSubstr("got the string \"train_los\", s.toml:3, did you mean \"train_loss\"?"));
  EXPECT_THAT(folder.error("[sweep]\nseeds = [1]\n"), HasSubstr("\"sweep.metric\" is missing"));
  EXPECT_THAT(folder.error("[sweep]\nmetric = \"validation_acc\"\n"),
              HasSubstr("needs validation images, and data.validation is 0, s.toml, set"));
  EXPECT_THAT(folder.error(std::string("[sweep]\nmetric = \"validation_acc\"\n") +
                           "[set]\ndata.validation = 9\n[final]\nseeds = [1]\nset = "
                           "{data.validation = 0}\n"),
              HasSubstr("final.metric \"validation_acc\" needs validation images"));
}

TEST(SweepFile, RefusesListsThatAreNone) {
  const SweepFolder folder;
  const std::string grid = kLoss + "[grid]\n";
  EXPECT_EQ(folder.error(grid + "optimizer.lr = 0.1\n"),
            "\"optimizer.lr\" must be a list of values, got the float 0.1, s.toml:5, write "
            "\"optimizer.lr\" = [0.1]");
  EXPECT_THAT(folder.error(grid + "optimizer.lr = []\n"),
              HasSubstr("\"optimizer.lr\" has no values, s.toml:5"));
  EXPECT_THAT(folder.error(grid + "optimizer.lr = [0.1, 0.2,\n0.1]\n"),
              HasSubstr("has the value 0.1 twice, s.toml:6"));
  EXPECT_THAT(folder.error(grid + "optimizer.lr = [1, 1.0]\n"),
              HasSubstr("are the same configuration"));
  EXPECT_THAT(folder.error(kLoss + "seeds = [1, 1]\n"), HasSubstr("has a seed twice, s.toml:4"));
  EXPECT_THAT(folder.error(kLoss + "seeds = []\n"), HasSubstr("\"sweep.seeds\" is empty"));
}

TEST(SweepFile, RefusesWhatHasNoEffect) {
  const SweepFolder folder;
  EXPECT_THAT(folder.error(kLoss + "trials = 3\n"),
              HasSubstr("\"sweep.trials\" has no effect with sweep.method = \"grid\", s.toml:4"));
  EXPECT_THAT(folder.error(kLoss + "[random]\noptimizer.lr = {uniform = [0.1, 0.2]}\n"),
              HasSubstr("\"random\" has no effect with sweep.method = \"grid\", s.toml:4"));
  EXPECT_THAT(folder.error(kLoss + "method = \"random\"\n"),
              HasSubstr("\"sweep.trials\" is missing"));
  EXPECT_THAT(folder.error(kLoss + "[grid]\nseed = [1, 2]\n"), HasSubstr("list the seeds"));
  EXPECT_THAT(folder.error(kLoss + "group_by = [\"variant\"]\n"), HasSubstr("there are none"));
  EXPECT_THAT(folder.error(kLoss + "[final]\nmetric = \"test_acc\"\n"),
              HasSubstr("\"final.seeds\" is missing, s.toml:4"));
}

TEST(SweepFile, RefusesAKeyThatIsSetTwice) {
  const SweepFolder folder;
  const std::string grid = kLoss + "[grid]\noptimizer.lr = [0.1, 0.2]\n";
  EXPECT_EQ(folder.error(grid + "[set]\noptimizer.lr = 1\n"),
            "\"optimizer.lr\" is set here and varied at " +
                std::string("s.toml:5, s.toml:7, remove one of the two"));
  EXPECT_THAT(folder.error(grid + "[[variant]]\nname = \"a\"\nset = {optimizer.lr = 1}\n"),
              HasSubstr("s.toml:8"));
  EXPECT_THAT(folder.error(grid + "[[variant]]\nname = \"a\"\ngrid = {optimizer.lr = [1]}\n"),
              HasSubstr("is varied here and at"));
  EXPECT_THAT(folder.error(grid + "[final]\nseeds = [1]\nset = {optimizer.lr = 1}\n"),
              HasSubstr("is set here and varied at"));
  EXPECT_THAT(folder.error(kLoss + "[set]\noptimizer.lr = 1\n\"optimizer.lr\" = 2\n"),
              HasSubstr("is given twice, s.toml:6"));
}

TEST(SweepFile, RefusesBrokenVariants) {
  const SweepFolder folder;
  EXPECT_THAT(folder.error(kLoss + "[[variant]]\nset = {}\n"), HasSubstr("needs a name, s.toml:4"));
  EXPECT_THAT(folder.error(kLoss + "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"a\"\n"),
              HasSubstr("two variants are called \"a\", s.toml:6"));
  EXPECT_THAT(folder.error(kLoss + "[variant]\nname = \"a\"\n"), HasSubstr("double brackets"));
}

}  // namespace
}  // namespace decorr::sweep
