#include "decorr/core/threads.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <omp.h>
#include <sched.h>
#include <stdexcept>
#include <thread>

namespace decorr {
namespace {

// Each test runs in a thread of its own: OpenMP keeps the number per calling thread, and the
// affinity that a test sets ends with its thread.
template <typename Function>
void in_own_thread(Function function) {
  std::thread(function).join();
}

TEST(Threads, SetForTheCallingThread) {
  in_own_thread([] {
    for (const int count : {1, 2, 1}) {
      set_threads(count);
      EXPECT_EQ(threads(), count);
      EXPECT_EQ(at::get_num_threads(), count);
      EXPECT_EQ(omp_get_max_threads(), count);
    }
  });
}

TEST(Threads, ParallelRegionsUseTheNumber) {
  in_own_thread([] {
    for (const int count : {1, 2}) {
      set_threads(count);
      int seen = 0;
#pragma omp parallel
      {
#pragma omp single
        seen = omp_get_num_threads();
      }
      EXPECT_EQ(seen, count);
    }
  });
}

TEST(Threads, ZeroMeansAllProcessors) {
  in_own_thread([] {
    set_threads(0);
    EXPECT_EQ(threads(), available_processors());
  });
}

TEST(Threads, AvailableProcessorsFollowAffinity) {
  in_own_thread([] {
    EXPECT_GE(available_processors(), 1);
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    EXPECT_EQ(available_processors(), CPU_COUNT(&allowed));
    int first = 0;
    while (!CPU_ISSET(first, &allowed)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(available_processors(), 1);
  });
}

TEST(Threads, RefusesNegativeNumbers) {
  in_own_thread([] {
    set_threads(2);
    EXPECT_THAT([] { set_threads(-3); },
                ::testing::ThrowsMessage<std::invalid_argument>(::testing::StrEq(
                    "[set_threads] count must be 0 (all processors) or more, got -3")));
    EXPECT_EQ(threads(), 2);
  });
}

}  // namespace
}  // namespace decorr
