#include "decorr/sweep/plan.h"

#include "decorr/sweep/value_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sweep/support.h"
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace decorr::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::kLoss;
using testing_support::SweepFolder;

std::vector<std::string> names(const Plan& plan) {
  std::vector<std::string> result;
  for (const Run& run : plan.runs) result.push_back(run.name);
  return result;
}

TEST(Plan, ExpandsTheGridInOrder) {
  const Plan plan = SweepFolder().plan(
      kLoss +
      "seeds = [1, 2]\n[grid]\noptimizer.lr = [1e-4, 1e-3]\n[[variant]]\nname = \"plain\"\nset = "
      "{decorrelation.method = \"none\"}\n[[variant]]\nname = \"decorrelated\"\ngrid = "
      "{decorrelation.lr = [0.1, 0.2, 0.3]}\n");
  EXPECT_EQ(plan.settings.size(), 2U + 6U);
  EXPECT_EQ(plan.runs.size(), 16U);
  const std::vector<std::string> all = names(plan);
  EXPECT_EQ(all[0], "plain-optimizer.lr=0.0001-seed=1");
  EXPECT_EQ(all[1], "plain-optimizer.lr=0.0001-seed=2");
  EXPECT_EQ(all[2], "plain-optimizer.lr=0.001-seed=1");
  EXPECT_EQ(all[4], "decorrelated-optimizer.lr=0.0001-decorrelation.lr=0.1-seed=1");
  EXPECT_EQ(all[6], "decorrelated-optimizer.lr=0.0001-decorrelation.lr=0.2-seed=1");
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 16U);
  EXPECT_EQ(plan.runs[3].config.optimizer.lr, 1e-3);
  EXPECT_EQ(plan.runs[3].config.seed, 2);
  EXPECT_EQ(plan.runs[0].config.decorrelation.options.method, "none");
  EXPECT_EQ(plan.settings[0].group, std::vector<std::string>{"plain"});
  EXPECT_THAT(plan.axis_keys(), ElementsAre("optimizer.lr", "decorrelation.lr"));
  EXPECT_THAT(plan.axis_numbers("plain", "optimizer.lr"), ElementsAre(1e-4, 1e-3));
}

TEST(Plan, ASweepMayHaveNoAxes) {
  EXPECT_THAT(names(SweepFolder().plan(kLoss + "seeds = [3, 4]\n")),
              ElementsAre("seed=3", "seed=4"));
  EXPECT_THAT(names(SweepFolder("seed = 9\n").plan(kLoss)), ElementsAre("seed=9"));
}

TEST(Plan, RunsKeepOneCheckpointUnlessTheSweepSaysOtherwise) {
  EXPECT_EQ(SweepFolder().plan(kLoss).runs[0].config.train.keep, 1);
  EXPECT_EQ(SweepFolder().plan(kLoss + "[set]\ntrain.keep = 5\n").runs[0].config.train.keep, 5);
}

TEST(Plan, ThreadsComeFromTheCommandTheConfigurationOrWhatIsLeft) {
  const auto threads = [](const std::string& base, std::int64_t asked) {
    Plan plan = SweepFolder(base).plan(kLoss);
    plan.set_threads(asked, 3);
    return plan.runs[0].config.train.threads;
  };
  EXPECT_EQ(threads("", 0), 3);
  EXPECT_EQ(threads("[train]\nthreads = 2\n", 0), 2);
  EXPECT_EQ(threads("[train]\nthreads = 2\n", 5), 5);
}

TEST(Plan, VariantsMakeKeysOfTheBaseIneffective) {
  const SweepFolder folder("[decorrelation]\npreset = \"published\"\nlr = 0.5\n");
  const Plan plan = folder.plan(kLoss +
                                "[[variant]]\nname = \"plain\"\nset = {decorrelation.method = "
                                "\"none\"}\n[[variant]]\nname = \"published\"\n");
  EXPECT_EQ(plan.runs[1].config.decorrelation.options.lr, 0.5);
}

TEST(Plan, ASettingWithoutEffectNamesTheVariant) {
  const SweepFolder folder;
  const std::string plain =
      "[[variant]]\nname = \"plain\"\n[variant.set]\ndecorrelation.method = \"none\"\n";
  EXPECT_THAT(folder.error(kLoss + plain + "decorrelation.lr = 0.1\n"),
              testing::StartsWith("\"decorrelation.lr\" has no effect with decorrelation.method = "
                                  "\"none\", s.toml:8 in variant \"plain\", remove it or set"));
  EXPECT_THAT(folder.error(kLoss + "[grid]\ndecorrelation.lr = [0.1]\n" + plain),
              HasSubstr("s.toml:5 in variant \"plain\""));
}

TEST(Plan, WrongValuesNameTheirLine) {
  const SweepFolder folder;
  EXPECT_THAT(folder.error(kLoss + "[grid]\noptimizer.lr = [0.1,\n\"fast\"]\n"),
              HasSubstr("must be a float, got the string \"fast\", s.toml:6, write a float"));
  EXPECT_THAT(folder.error(kLoss + "[grid]\ntrain.epochs = [0]\n"), HasSubstr("got 0, s.toml:5"));
  EXPECT_THAT(folder.error(kLoss + "[final]\nseeds = [1]\nset = {train.epochs = 0}\n"),
              HasSubstr("got 0, s.toml:6"));
  EXPECT_THAT(SweepFolder("[optimizer]\nrl = 1\n").error(kLoss), HasSubstr("base.toml:2"));
}

TEST(Plan, GroupsByKeys) {
  const Plan plan = SweepFolder().plan(
      kLoss +
      "group_by = [\"learning.rule\", \"decorrelation.lr\"]\n[grid]\ndecorrelation.method = "
      "[\"none\", \"copi\"]\nlearning.rule = [\"backprop\"]\n");
  EXPECT_THAT(plan.settings[0].group, ElementsAre("backprop", "–"));
  EXPECT_THAT(plan.settings[1].group, ElementsAre("backprop", testing::Ne("–")));
}

TEST(Plan, FinalRunsHaveTheirOwnSettings) {
  const Plan plan = SweepFolder().plan(
      kLoss +
      "[set]\ndata.validation = 10\n[grid]\noptimizer.lr = [0.1, 0.2]\n[final]\nseeds = [7, "
      "8]\nset = {data.validation = 0}\n");
  const auto runs = plan.final_runs({1});
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[1].name, "optimizer.lr=0.2-seed=8");
  EXPECT_EQ(runs[1].config.seed, 8);
  EXPECT_EQ(runs[1].config.data.validation, 0);
  EXPECT_EQ(runs[1].config.optimizer.lr, 0.2);
  EXPECT_EQ(plan.runs[1].config.data.validation, 10);
}

const std::string kRandom =
    "method = \"random\"\nseed = 5\n[random]\noptimizer.lr = {log_uniform = [1e-4, 1e-1]}\n";

TEST(Plan, MoreTrialsBeginWithTheSameOnes) {
  const auto draw = [](int trials) {
    return names(SweepFolder().plan(kLoss + fmt::format("trials = {}\n", trials) + kRandom));
  };
  const std::vector<std::string> few = draw(5), many = draw(20);
  EXPECT_EQ(draw(5), few);
  EXPECT_EQ(std::vector<std::string>(many.begin(), many.begin() + 5), few);
}

TEST(Plan, VariantsShareTheirDraws) {
  const Plan plan = SweepFolder().plan(
      kLoss + "trials = 4\n" + kRandom +
      "[[variant]]\nname = \"a\"\nset = {train.epochs = 1}\n[[variant]]\nname = \"b\"\nset = "
      "{train.epochs = 2}\nrandom = {decorrelation.lr = {uniform = [0.1, 0.9]}}\n");
  ASSERT_EQ(plan.settings.size(), 8U);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(plan.settings[i].config.optimizer.lr, plan.settings[i + 4].config.optimizer.lr);
}

TEST(Plan, DrawsDiffer) {
  const SweepFolder folder;
  const std::string choice = "method = \"random\"\n[random]\ntrain.epochs = {choice = [1, 2, 3]}\n";
  EXPECT_EQ(folder.plan(kLoss + "trials = 3\n" + choice).settings.size(), 3U);
  EXPECT_THAT(folder.error(kLoss + "trials = 4\n" + choice),
              HasSubstr("4 trials, but only 3 different ones were drawn"));
}

TEST(FileName, KeepsWhatIsSafe) {
  EXPECT_EQ(file_name("plain-optimizer.lr=1e-05-seed=42"), "plain-optimizer.lr=1e-05-seed=42");
  const std::string odd = file_name("a/b c");
  EXPECT_THAT(odd, testing::StartsWith("a_b_c-"));
  EXPECT_NE(odd, file_name("a b/c"));
  EXPECT_NE(file_name(std::string(300, 'x')), file_name(std::string(301, 'x')));
  EXPECT_LE(file_name(std::string(300, 'x')).size(), 150U);
  EXPECT_THAT(file_name(".."), testing::StartsWith("_."));
}

// A mistake in a file that is shipped would be found only by who runs it.
TEST(Plan, TheSweepsOfThePaperCanBeRun) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(DECORR_SOURCE_DIR) / "configs/paper/sweeps")) {
    SCOPED_TRACE(entry.path().string());
    const Plan plan = make_plan(load_sweep_file(entry.path().string()));
    EXPECT_FALSE(plan.runs.empty());
    for (const sweep::Run& run : plan.runs) EXPECT_EQ(run.config.data.name, "cifar10");
    ++count;
  }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace decorr::sweep
