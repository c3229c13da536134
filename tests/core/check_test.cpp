#include "decorr/core/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace decorr {
namespace {

using ::testing::StrEq;
using ::testing::ThrowsMessage;

TEST(Check, PassesWhenTheConditionHolds) {
  EXPECT_NO_THROW(check_argument(true, "[Linear] never built: {}", 1));
  EXPECT_NO_THROW(check_runtime(true, "[read] never built: {}", 1));
}

TEST(Check, ArgumentErrorsAreInvalidArguments) {
  const std::vector<int> shape{256, 3072};
  EXPECT_THAT(
      [&] { check_argument(false, "[Linear] need {} features, got {}", 784, shape); },
      ThrowsMessage<std::invalid_argument>(StrEq("[Linear] need 784 features, got [256, 3072]")));
}

TEST(Check, EnvironmentErrorsAreRuntimeErrors) {
  EXPECT_THAT([] { check_runtime(false, "[read] cannot open {}", "a.bin"); },
              ThrowsMessage<std::runtime_error>(StrEq("[read] cannot open a.bin")));
}

}  // namespace
}  // namespace decorr
