#include "decorr/data/prefetch.h"

#include "decorr/core/threads.h"

#include "tests/data/support.h"
#include <atomic>
#include <chrono>
#include <thread>

namespace decorr::data {
namespace {

using testing::expect_error;

Batch numbered(std::int64_t index) {
  return {at::full({1}, index, at::kFloat), at::full({1}, index, at::kLong), index};
}

std::vector<std::int64_t> drain(Prefetcher& prefetcher) {
  std::vector<std::int64_t> indices;
  for (Batch batch; prefetcher.next(batch);) indices.push_back(batch.index);
  return indices;
}

TEST(Prefetcher, DeliversInOrderForEveryDepth) {
  for (const std::int64_t ahead : {1, 2, 100}) {
    Prefetcher prefetcher(3, 20, ahead, numbered);
    std::vector<std::int64_t> expected;
    for (std::int64_t index = 3; index < 20; ++index) expected.push_back(index);
    EXPECT_EQ(drain(prefetcher), expected);
  }
}

TEST(Prefetcher, EndLeavesBatchUntouched) {
  Prefetcher prefetcher(0, 1, 2, numbered);
  Batch batch;
  ASSERT_TRUE(prefetcher.next(batch));
  for (int call = 0; call < 3; ++call) {
    EXPECT_FALSE(prefetcher.next(batch));
    EXPECT_TRUE(batch.input.defined());
  }
}

TEST(Prefetcher, MakesAsManyBatchesAheadAsAllowed) {
  std::atomic<int> made{0};
  Prefetcher prefetcher(0, 100, 3, [&](std::int64_t index) {
    ++made;
    return numbered(index);
  });
  const auto wait_for = [&](int count) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (made < count && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    // Time for a batch too many to show.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return made.load();
  };
  EXPECT_EQ(wait_for(3), 3);
  Batch batch;
  ASSERT_TRUE(prefetcher.next(batch));
  EXPECT_EQ(wait_for(4), 4);
}

TEST(Prefetcher, RethrowsAfterTheBatchesBefore) {
  Prefetcher prefetcher(0, 10, 2, [](std::int64_t index) {
    if (index == 2) throw std::runtime_error("batch 2 is broken");
    return numbered(index);
  });
  Batch batch;
  ASSERT_TRUE(prefetcher.next(batch));
  ASSERT_TRUE(prefetcher.next(batch));
  EXPECT_EQ(batch.index, 1);
  for (int call = 0; call < 2; ++call)
    expect_error<std::runtime_error>([&] { prefetcher.next(batch); }, {"batch 2 is broken"});
}

TEST(Prefetcher, DestructorStopsThread) {
  std::atomic<int> made{0};
  {
    Prefetcher prefetcher(0, 1000000, 2, [&](std::int64_t index) {
      ++made;
      return numbered(index);
    });
    Batch batch;
    ASSERT_TRUE(prefetcher.next(batch));
  }
  const int after = made;
  EXPECT_LE(after, 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(made, after);
}

TEST(Prefetcher, ComputesWithOneThread) {
  // Three is what a new thread would get by itself from here on.
  const int before = threads();
  set_threads(3);
  std::atomic<int> inside{0};
  Prefetcher prefetcher(0, 1, 1, [&](std::int64_t index) {
    inside = threads();
    return numbered(index);
  });
  drain(prefetcher);
  set_threads(before);
  EXPECT_EQ(inside, 1);
}

TEST(Prefetcher, LeavesThreadsOfItsUserAlone) {
  // A new thread, which LibTorch has not given a number of threads yet.
  int seen = 0;
  std::thread([&] {
    set_threads(3);
    Prefetcher prefetcher(0, 5, 2, numbered);
    drain(prefetcher);
    seen = threads();
  }).join();
  EXPECT_EQ(seen, 3);
}

TEST(Prefetcher, RefusesToBeLessThanOneAhead) {
  for (const std::int64_t ahead : {0, -1})
    expect_error<std::invalid_argument>([&] { Prefetcher(0, 1, ahead, numbered); },
                                        {"at least 1", "got " + std::to_string(ahead)});
}

}  // namespace
}  // namespace decorr::data
