#include "decorr/sweep/stop_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace decorr::sweep {
namespace {

using testing_support::error_of;

const Metric kLoss{"train_loss", "min", "last"};
const Metric kAccuracy{"test_acc", "max", "last"};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kEpochs = 4;

// A rule that knows three runs.
StopRule rule(int grace_epochs = 1, int min_runs = 3) {
  StopRule result({"median", grace_epochs, min_runs}, kLoss);
  result.judge("a", "g", {1, 1, 1, 1}, kEpochs);
  result.judge("b", "g", {2, 2, 2, 2}, kEpochs);
  result.judge("c", "g", {3, 3, 3, 3}, kEpochs);
  return result;
}

TEST(Median, IsTheWorseOfTheTwoInTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}, kLoss), 2);
  EXPECT_EQ(median({1, 2, 3, 4}, kLoss), 3);
  EXPECT_EQ(median({1, 2, 3, 4}, kAccuracy), 2);
  EXPECT_EQ(median({kNaN, 1, 2}, kLoss), 2);
  EXPECT_THROW(median({}, kLoss), std::invalid_argument);
}

TEST(StopRule, StopsWhatIsWorseThanTheMedianOfTheOthers) {
  EXPECT_EQ(rule().judge("d", "g", {2.5}, kEpochs), 1);
  EXPECT_EQ(rule().judge("d", "g", {2}, kEpochs), 0);
  EXPECT_EQ(rule().judge("d", "g", {2, 2, 2.1}, kEpochs), 3);
  EXPECT_EQ(rule().judge("d", "g", {kNaN}, kEpochs), 1);
}

TEST(StopRule, DirectionCounts) {
  StopRule best({"median", 1, 1}, kAccuracy);
  best.judge("a", "g", {0.5}, kEpochs);
  EXPECT_EQ(best.judge("b", "g", {0.4}, kEpochs), 1);
  EXPECT_EQ(best.judge("c", "g", {0.6}, kEpochs), 0);
}

TEST(StopRule, WaitsForEpochsAndRuns) {
  EXPECT_EQ(rule(3).judge("d", "g", {9, 9}, kEpochs), 0);
  EXPECT_EQ(rule(3).judge("d", "g", {9, 9, 9}, kEpochs), 3);
  EXPECT_EQ(rule(1, 4).judge("d", "g", {9, 9, 9}, kEpochs), 0);
  EXPECT_EQ(rule().judge("d", "other group", {9, 9, 9}, kEpochs), 0);
}

TEST(StopRule, TheLastEpochIsNotJudged) {
  EXPECT_EQ(rule().judge("d", "g", {1, 1, 1, 9}, kEpochs), 0);
}

TEST(StopRule, WhatAStoppedRunDoesLaterDoesNotCount) {
  StopRule stopping = rule();
  EXPECT_EQ(stopping.judge("d", "g", {9, 0, 0}, kEpochs), 1);
  EXPECT_EQ(stopping.judge("d", "g", {9, 0, 0, 0}, kEpochs), 1);
  // Had its zeros counted, the median after epoch 2 would be 1.
  EXPECT_EQ(stopping.judge("e", "g", {2, 2}, kEpochs), 0);
}

TEST(StopRule, AnEpochIsJudgedOnce) {
  StopRule late({"median", 1, 1}, kLoss);
  EXPECT_EQ(late.judge("d", "g", {9}, kEpochs), 0);  // there is no other run yet
  late.judge("a", "g", {1, 1}, kEpochs);
  EXPECT_EQ(late.judge("d", "g", {9}, kEpochs), 0);
  EXPECT_EQ(late.judge("d", "g", {9, 9}, kEpochs), 2);
}

TEST(StopRule, DecisionsAreKept) {
  StopRule first = rule();
  first.judge("d", "g", {9}, kEpochs);
  StopRule second({"median", 1, 1}, kLoss);
  second.load(first.decisions());
  EXPECT_EQ(second.stopped_after("d"), 1);
  EXPECT_EQ(second.stopped_after("a"), 0);
  EXPECT_EQ(second.stopped_after("unknown"), 0);
  EXPECT_EQ(second.decisions(), first.decisions());
  EXPECT_THAT(error_of<std::runtime_error>([&] {
                second.load({{"d", 3}});
              }),
              testing::HasSubstr("not a decision"));
}

}  // namespace
}  // namespace decorr::sweep
