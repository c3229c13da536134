#include "decorr/whitening/row_sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace decorr::whitening {
namespace {

// Row i holds the number i.
at::Tensor rows(std::int64_t first, std::int64_t count) {
  return at::arange(first, first + count, at::kDouble).unsqueeze(1);
}

std::vector<double> numbers(const Rows& sample) {
  const at::Tensor x = sample.x.contiguous();
  return {x.data_ptr<double>(), x.data_ptr<double>() + x.size(0)};
}

std::vector<double> draw(RowSampler sampler, std::int64_t count, std::int64_t step) {
  sampler.add(rows_of(rows(0, count)), step);
  return numbers(sampler.sample());
}

TEST(RowSampler, DrawsTheStatedNumberWithoutReplacement) {
  const struct {
    std::int64_t rows;
    double fraction;
    std::int64_t max_samples;
    std::size_t expected;
  } cases[] = {{256, 0.1, 0, 26},  {20, 0.1, 0, 3},    {1, 0.1, 0, 1},
               {256, 1.0, 0, 256}, {256, 0.1, 10, 10}, {5, 0.1, 10, 1}};
  for (const auto& item : cases) {
    const std::vector<double> drawn =
        draw(RowSampler(item.fraction, item.max_samples, "global", RandomStream(1)), item.rows, 0);
    EXPECT_EQ(drawn.size(), item.expected);
    EXPECT_EQ(std::set<double>(drawn.begin(), drawn.end()).size(), drawn.size());
    EXPECT_TRUE(std::is_sorted(drawn.begin(), drawn.end()));
  }
}

TEST(RowSampler, FirstTakesTheFirstRows) {
  EXPECT_EQ(draw(RowSampler(0.1, 0, "first", RandomStream(1)), 40, 3),
            (std::vector<double>{0, 1, 2, 3, 4}));
}

TEST(RowSampler, AFewOfVeryManyAreTheOnesWithTheSmallestKeys) {
  const RandomStream random(4);
  const std::vector<double> drawn = draw(RowSampler(1, 20, "global", random), 50000, 3);
  std::vector<std::pair<std::uint64_t, double>> keys;
  for (int i = 0; i < 50000; ++i)
    keys.emplace_back(random.at(3).bits(static_cast<std::uint64_t>(i)), i);
  std::sort(keys.begin(), keys.end());
  std::set<double> expected;
  for (std::size_t i = 0; i < 20; ++i) expected.insert(keys[i].second);
  EXPECT_EQ(std::set<double>(drawn.begin(), drawn.end()), expected);
}

TEST(RowSampler, FirstTakesAllRowsOfTheFirstSamples) {
  RowSampler sampler(0.1, 0, "first", RandomStream(1));
  RowSource source = rows_of(rows(0, 90));
  source.samples = 9;  // ⌊0.9⌋ + 1 = 1 of them, with 10 rows
  source.rows_per_sample = 10;
  sampler.add(source, 0);
  EXPECT_EQ(numbers(sampler.sample()), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(RowSampler, DependsOnSeedAndStepOnly) {
  const RowSampler sampler(0.1, 0, "global", RandomStream(1));
  EXPECT_EQ(draw(sampler, 100, 7), draw(sampler, 100, 7));
  EXPECT_NE(draw(sampler, 100, 7), draw(sampler, 100, 8));
  EXPECT_NE(draw(sampler, 100, 7), draw(RowSampler(0.1, 0, "global", RandomStream(2)), 100, 7));
}

TEST(RowSampler, EveryRowIsEquallyLikely) {
  const RowSampler sampler(0.25, 0, "global", RandomStream(3));
  constexpr int kSteps = 4000;
  constexpr std::int64_t kRows = 39;  // ⌊9.75⌋ + 1 = 10 of 39
  std::vector<int> hits(kRows, 0);
  for (int step = 0; step < kSteps; ++step)
    for (const double row : draw(sampler, kRows, step)) ++hits[static_cast<std::size_t>(row)];
  const double p = 10.0 / 39;
  const double standard_error = std::sqrt(kSteps * p * (1 - p));
  for (const int hit : hits) EXPECT_NEAR(hit, kSteps * p, 5 * standard_error);
}

TEST(RowSampler, SeveralCallsMakeOneSample) {
  RowSampler split(0.1, 12, "global", RandomStream(1));
  for (std::int64_t i = 0; i < 4; ++i) split.add(rows_of(rows(64 * i, 64)), 5);
  EXPECT_EQ(split.rows(), 256);
  EXPECT_DOUBLE_EQ(split.mean().item<double>(), 127.5);
  const std::vector<double> together = draw(RowSampler(0.1, 12, "global", RandomStream(1)), 256, 5);
  const std::vector<double> drawn = numbers(split.sample());
  ASSERT_EQ(drawn.size(), 12U);
  // Each call keeps ⌊0.1·64⌋ + 1 = 7 of its rows, so a row can only be missing if a call had more
  // of the smallest keys than that.
  std::set<double> both(drawn.begin(), drawn.end());
  both.insert(together.begin(), together.end());
  EXPECT_LE(both.size(), 14U);
  split.clear();
  EXPECT_EQ(split.rows(), 0);
}

}  // namespace
}  // namespace decorr::whitening
