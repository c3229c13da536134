#include "decorr/report/time_to_accuracy.h"

#include "decorr/report/curves.h"
#include "decorr/report/scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include "tests/report/support.h"
#include <cmath>
#include <stdexcept>

namespace decorr::report {
namespace {

using testing::HasSubstr;
using testing_support::error_of;

// Two plain runs of 2 s an epoch, two decorrelated ones of 3 s.
std::vector<Group> groups() {
  return {{"plain",
           {make_run("plain-1", 1, {0.50, 0.60, 0.70, 0.80}),
            make_run("plain-2", 2, {0.40, 0.60, 0.80, 0.70})}},
          {"dec",
           {make_run("dec-1", 1, {0.70, 0.80}, "copi", 3),
            make_run("dec-2", 2, {0.60, 0.70, 0.90}, "copi", 3)}}};
}

TEST(ReportCurves, AveragesTheSeedsThatAreThere) {
  const Curve curve = mean_curve(groups()[1], kTestAccuracy);
  ASSERT_EQ(curve.points.size(), 3U);
  EXPECT_DOUBLE_EQ(curve.points[0].value.mean, 0.65);
  EXPECT_DOUBLE_EQ(curve.points[0].seconds, 3.0);
  // s = 0.1/√2, s/√2 = 0.05; t of one degree of freedom is 12.7062.
  EXPECT_NEAR(curve.points[0].value.standard_error, 0.05, 1e-12);
  EXPECT_NEAR(curve.points[0].value.half_width, 12.7062 * 0.05, 1e-6);
  EXPECT_EQ(curve.points[2].value.count, 1U);
  EXPECT_DOUBLE_EQ(curve.points[2].value.mean, 0.90);
  EXPECT_DOUBLE_EQ(curve.points[2].seconds, 9.0);
  EXPECT_TRUE(std::isnan(curve.points[2].value.standard_error));
  EXPECT_DOUBLE_EQ(highest_mean(groups()[0], kTestAccuracy), 0.75);
  EXPECT_DOUBLE_EQ(highest_mean(groups()[1], kTestAccuracy), 0.75);  // 0.90 is of one seed alone
  EXPECT_TRUE(mean_curve(groups()[0], kTop5).points.empty());
}

TEST(ReportCurves, LeavesOutWhatIsNotFinite) {
  Group group = groups()[0];
  group.runs[0].epochs[1].values[kTestAccuracy] = kUnknown;
  const Curve curve = mean_curve(group, kTestAccuracy);
  EXPECT_EQ(curve.points[1].value.count, 1U);
  EXPECT_DOUBLE_EQ(curve.points[1].value.mean, 0.60);
}

TEST(ReportCurves, AveragesLayers) {
  Group group = groups()[0];
  double energy = 1;
  for (report::Run& run : group.runs)
    for (Epoch& epoch : run.epochs) {
      LayerState layer{"layers.0", {}};
      layer.values.fill(kUnknown);
      layer.values[kEnergy] = energy++;
      epoch.layers = {layer};
    }
  EXPECT_THAT(layer_paths(group), testing::ElementsAre("layers.0"));
  EXPECT_DOUBLE_EQ(mean_curve(group, "layers.0", kEnergy).points[0].value.mean, 3.0);  // 1 and 5
  EXPECT_TRUE(mean_curve(group, "layers.0", kGradientAngle).points.empty());
  EXPECT_TRUE(mean_curve(group, "layers.1", kEnergy).points.empty());
}

TEST(ReportScores, PicksTheBestEpochOnTheTestSetForWantOfAnother) {
  const Score plain = score(groups()[0]);
  EXPECT_DOUBLE_EQ(plain.test_accuracy.mean, 0.75);  // 0.80 and 0.70
  EXPECT_DOUBLE_EQ(plain.best_accuracy.mean, 0.80);
  EXPECT_FALSE(plain.by_validation);
  EXPECT_DOUBLE_EQ(plain.train_accuracy.mean, 0.76);
  EXPECT_DOUBLE_EQ(plain.epoch_seconds.mean, 2.0);
  EXPECT_DOUBLE_EQ(plain.seconds.mean, 8.0);
  EXPECT_EQ(plain.top5.count, 0U);
}

TEST(ReportScores, PicksTheBestEpochByTheValidationLoss) {
  Group group = groups()[0];
  for (report::Run& run : group.runs)
    for (std::size_t i = 0; i < run.epochs.size(); ++i)
      run.epochs[i].values[kValidationLoss] = i == 1 ? 0.1 : 0.2;
  const Score score = report::score(group);
  EXPECT_TRUE(score.by_validation);
  EXPECT_DOUBLE_EQ(score.best_accuracy.mean, 0.60);
}

TEST(ReportTime, FindsTheFirstEpoch) {
  const report::Run run = make_run("a", 1, {0.50, 0.80, 0.70, 0.90});
  EXPECT_EQ(first_epoch_at(run, 0.5), 0U);
  EXPECT_EQ(first_epoch_at(run, 0.6), 1U);
  EXPECT_EQ(first_epoch_at(run, 0.85), 3U);
  EXPECT_EQ(first_epoch_at(run, 0.91), std::nullopt);
}

// To 0.70: plain after 3 epochs, 6 s, with both seeds; the others after 1 and 2 epochs, 3 and 6 s.
TEST(ReportTime, ComparesSecondsInPairs) {
  const auto all = groups();
  const TimeToAccuracy time = time_to_accuracy(all[1], all, 0.70);
  EXPECT_EQ(time.runs, 2U);
  EXPECT_EQ(time.reached, 2U);
  EXPECT_DOUBLE_EQ(time.epochs.mean, 1.5);
  EXPECT_DOUBLE_EQ(time.seconds.mean, 4.5);
  EXPECT_NEAR(time.seconds.half_width, 12.7062 * 1.5, 1e-4);
  EXPECT_EQ(time.baseline, "plain");
  EXPECT_EQ(time.relative.pairs, 2U);
  // Ratios 1/2 and 1: logarithms -0.6931 and 0, mean -0.3466, standard error 0.3466.
  EXPECT_NEAR(time.relative.value, std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(std::log(time.relative.low), -0.34657 - 12.7062 * 0.34657, 1e-3);
  EXPECT_NEAR(std::log(time.relative.high), -0.34657 + 12.7062 * 0.34657, 1e-3);
}

TEST(ReportTime, CountsTheRunsThatGetThere) {
  const auto all = groups();
  const TimeToAccuracy time = time_to_accuracy(all[1], all, 0.85);
  EXPECT_EQ(time.reached, 1U);
  EXPECT_DOUBLE_EQ(time.seconds.mean, 9.0);
  EXPECT_TRUE(std::isnan(time.seconds.half_width));
  EXPECT_TRUE(std::isnan(time.relative.value));  // no plain run gets there
  EXPECT_TRUE(std::isnan(time.relative.low));
  const TimeToAccuracy never = time_to_accuracy(all[0], all, 0.85);
  EXPECT_EQ(never.reached, 0U);
  EXPECT_TRUE(std::isnan(never.epochs.mean));
  EXPECT_EQ(never.baseline, "");
}

TEST(ReportTime, OnePairHasARatioWithoutAnInterval) {
  const Ratio ratio = paired_ratio({3}, {6});
  EXPECT_NEAR(ratio.value, 0.5, 1e-12);
  EXPECT_TRUE(std::isnan(ratio.low));
  EXPECT_TRUE(std::isnan(ratio.high));
  EXPECT_THROW(paired_ratio({3}, {}), std::invalid_argument);
}

// Logarithms {0, 2} and {0, 0, 3}: means 1 and 1; squared standard errors 1 and 1; freedom
// 4 / (1/1 + 1/2) = 2.67, rounded down 2, t = 4.3027.
TEST(ReportTime, ComparesWithoutPairsByWelch) {
  const Ratio ratio = unpaired_ratio({1, std::exp(2.0)}, {1, 1, std::exp(3.0)});
  EXPECT_NEAR(std::log(ratio.value), 0, 1e-12);
  EXPECT_NEAR(std::log(ratio.high), 4.3027 * std::sqrt(2.0), 1e-4);
  EXPECT_NEAR(std::log(ratio.low), -4.3027 * std::sqrt(2.0), 1e-4);
  EXPECT_EQ(ratio.pairs, 0U);
  EXPECT_TRUE(std::isnan(unpaired_ratio({1}, {2, 3}).low));
  EXPECT_TRUE(std::isnan(unpaired_ratio({}, {2, 3}).value));
  EXPECT_NEAR(unpaired_ratio({2, 2}, {1, 1}).high, 2, 1e-12);
}

TEST(ReportTime, UsesOtherSeedsIfNoneMatch) {
  auto all = groups();
  for (report::Run& run : all[1].runs) run.seed += 10;
  const TimeToAccuracy time = time_to_accuracy(all[1], all, 0.70);
  EXPECT_EQ(time.relative.pairs, 0U);
  EXPECT_NEAR(time.relative.value, std::sqrt(0.5), 1e-12);
}

// Plain seed 1 gets to 0.80 and so does decorrelated seed 2: different seeds, though both have
// both.
TEST(ReportTime, HasNoRatioIfNoSeedGetsThereWithBoth) {
  auto all = groups();
  all[0].runs[1].epochs.resize(2);
  all[1].runs[0].epochs.resize(1);
  const TimeToAccuracy time = time_to_accuracy(all[1], all, 0.80);
  EXPECT_EQ(time.reached, 1U);
  EXPECT_EQ(time.relative.pairs, 0U);
  EXPECT_TRUE(std::isnan(time.relative.value));
}

// Seed 1 is there with two settings, one of which gets to 0.80: neither is the partner.
TEST(ReportTime, DoesNotPairASeedThatIsThereTwice) {
  auto all = groups();
  all[1].runs.push_back(make_run("dec-1b", 1, {0.50}, "copi", 3));
  EXPECT_EQ(time_to_accuracy(all[1], all, 0.80).relative.pairs, 1U);
  all[1].runs.push_back(make_run("dec-2b", 2, {0.50}, "copi", 3));
  const Ratio ratio = time_to_accuracy(all[1], all, 0.80).relative;
  EXPECT_EQ(ratio.pairs, 0U);
  EXPECT_TRUE(std::isfinite(ratio.value));
}

TEST(ReportTime, ChoosesTheMostSimilarPlainGroup) {
  std::vector<Group> all = groups();
  const auto other = [&](const std::string& name, const std::string& key,
                         const std::string& value) {
    Group group = groups()[0];
    group.name = name;
    for (report::Run& run : group.runs) run.settings[key] = value;
    all.push_back(group);
  };
  other("other rule", "learning.rule", "\"kolen-pollack\"");
  other("other data", "data.name", "\"mnist\"");
  other("other rate", "optimizer.lr", "0.1");
  EXPECT_EQ(baseline_of(all[1], all)->name, "plain");
  EXPECT_EQ(baseline_of(all[0], all), nullptr);
  for (report::Run& run : all[1].runs) run.settings["optimizer.lr"] = "0.1";
  EXPECT_EQ(baseline_of(all[1], all)->name, "other rate");
  for (report::Run& run : all[1].runs) run.settings["learning.rule"] = "\"node-perturbation\"";
  EXPECT_EQ(baseline_of(all[1], all), nullptr);
}

// First means 0.45 and 0.65, highest means 0.75 and 0.75.
TEST(ReportTargets, AreRoundAndTheBestOfPlainGroups) {
  const std::vector<Target> targets = default_targets(groups());
  std::vector<double> accuracies;
  for (const Target& target : targets) accuracies.push_back(target.accuracy);
  EXPECT_THAT(accuracies, testing::Pointwise(testing::DoubleNear(1e-9), {0.5, 0.6, 0.7, 0.75}));
  EXPECT_EQ(targets[3].origin, "plain");
  EXPECT_EQ(targets[0].origin, "");
}

TEST(ReportTargets, AreReadAsFractionsAndPercentages) {
  const std::vector<Target> targets = parse_targets({"0.86", "90%"});
  EXPECT_DOUBLE_EQ(targets[0].accuracy, 0.86);
  EXPECT_DOUBLE_EQ(targets[1].accuracy, 0.9);
  for (const char* bad : {"86", "0", "-0.5", "high", "", "0.8x", "nan", "101%", "0.8%%"})
    EXPECT_THAT(error_of<std::invalid_argument>([&] { parse_targets({bad}); }),
                HasSubstr("no accuracy: \"" + std::string(bad) + "\", --target"));
}

}  // namespace
}  // namespace decorr::report
