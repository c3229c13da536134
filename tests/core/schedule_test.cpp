#include "decorr/core/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace decorr {
namespace {

TEST(Schedule, ConstantIsOne) {
  const Schedule schedule;
  for (const std::int64_t update : {0, 1, 1000}) EXPECT_EQ(schedule.factor(update), 1.0);
}

TEST(Schedule, WarmsUpLinearly) {
  Schedule schedule;
  schedule.warmup = 4;
  EXPECT_DOUBLE_EQ(schedule.factor(0), 0.25);
  EXPECT_DOUBLE_EQ(schedule.factor(1), 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(2), 0.75);
  EXPECT_DOUBLE_EQ(schedule.factor(3), 1.0);
  EXPECT_DOUBLE_EQ(schedule.factor(4), 1.0);
}

TEST(Schedule, StepDropsAfterTheWarmUp) {
  Schedule schedule;
  schedule.kind = "step";
  schedule.warmup = 2;
  schedule.step_size = 3;
  schedule.gamma = 0.5;
  EXPECT_DOUBLE_EQ(schedule.factor(0), 0.5);
  for (const std::int64_t update : {1, 2, 4}) EXPECT_DOUBLE_EQ(schedule.factor(update), 1.0);
  for (const std::int64_t update : {5, 7}) EXPECT_DOUBLE_EQ(schedule.factor(update), 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(8), 0.25);
}

TEST(Schedule, CosineFallsToTheFloorAndStaysThere) {
  Schedule schedule;
  schedule.kind = "cosine";
  schedule.warmup = 1;
  schedule.total = 6;
  schedule.floor = 0.2;
  EXPECT_DOUBLE_EQ(schedule.factor(0), 1.0);
  EXPECT_DOUBLE_EQ(schedule.factor(1), 1.0);
  EXPECT_DOUBLE_EQ(schedule.factor(3), 0.2 + 0.8 * 0.75);  // cos(π/3) = 1/2
  EXPECT_DOUBLE_EQ(schedule.factor(4), 0.2 + 0.8 * 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(5), 0.2 + 0.8 * 0.25);
  EXPECT_DOUBLE_EQ(schedule.factor(7), 0.2);
  EXPECT_DOUBLE_EQ(schedule.factor(1000), 0.2);
}

TEST(Schedule, AcceptsTheEndsOfItsRanges) {
  Schedule schedule;
  schedule.kind = "cosine";
  schedule.gamma = 1;
  schedule.floor = 1;
  EXPECT_NO_THROW(schedule.validate("optimizer"));
  EXPECT_NO_THROW(Schedule().validate("optimizer"));
}

TEST(Schedule, NamesTheBadSetting) {
  const auto expect_refused = [](auto change, const std::string& message) {
    Schedule schedule;
    change(schedule);
    EXPECT_THAT([&] { schedule.validate("optimizer"); },
                ::testing::ThrowsMessage<std::invalid_argument>(::testing::StrEq(message)));
  };
  expect_refused([](Schedule& s) { s.kind = "linear"; },
                 "[optimizer] schedule must be constant, step or cosine, got \"linear\"");
  expect_refused([](Schedule& s) { s.warmup = -1; },
                 "[optimizer] warm-up must be 0 or more updates, got -1");
  expect_refused([](Schedule& s) { s.step_size = 0; },
                 "[optimizer] step size must be at least 1 update, got 0");
  expect_refused([](Schedule& s) { s.gamma = 0; }, "[optimizer] gamma must be in (0, 1], got 0");
  expect_refused([](Schedule& s) { s.gamma = std::nan(""); },
                 "[optimizer] gamma must be in (0, 1], got nan");
  expect_refused([](Schedule& s) { s.total = 0; },
                 "[optimizer] total must be at least 1 update, got 0");
  expect_refused([](Schedule& s) { s.floor = 1.5; },
                 "[optimizer] floor must be in [0, 1], got 1.5");
}

}  // namespace
}  // namespace decorr
