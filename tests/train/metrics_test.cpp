#include "decorr/train/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace decorr::train {
namespace {

using testing::ElementsAre;
using testing::IsNan;

TEST(EpochSeconds, AreThoseOfTheRows) {
  EXPECT_THAT(epoch_seconds({}), ElementsAre());
  EXPECT_THAT(epoch_seconds(
                  {{{"step", 10}, {"train_seconds", 2.0}}, {{"step", 20}, {"train_seconds", 3.0}}}),
              ElementsAre(2.0, 3.0));
}

// Of steps 10 to 20 the last 5 were timed, of steps 20 to 30 all.
TEST(EpochSeconds, AreEstimatedForWhatWasNotTimed) {
  EXPECT_THAT(epoch_seconds({{{"step", 10}, {"train_seconds", 2.0}},
                             {{"step", 20}, {"train_seconds", 2.0}, {"resumed_at_step", 15}},
                             {{"step", 30}, {"train_seconds", 2.0}, {"resumed_at_step", 20}}}),
              ElementsAre(2.0, 4.0, 2.0));
}

TEST(EpochSeconds, AreUnknownWithoutANumber) {
  EXPECT_THAT(epoch_seconds({{{"step", 10}},
                             {{"step", 20}, {"train_seconds", nullptr}},
                             {{"step", 30}, {"train_seconds", 1.0}, {"resumed_at_step", 30}}}),
              ElementsAre(IsNan(), IsNan(), 1.0));
}

}  // namespace
}  // namespace decorr::train
