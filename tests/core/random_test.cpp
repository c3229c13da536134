#include "decorr/core/random.h"

#include "decorr/core/threads.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

namespace decorr {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

// Checks that a mean of independent draws lies within four standard errors of its expectation.
void expect_mean(double mean, double expected, double standard_error) {
  EXPECT_NEAR(mean, expected, 4 * standard_error);
}

// Known answers of philox4x32-10 from the Random123 distribution. The counter is (position,
// stream), the key is the seed, low words first; bits() are words 1 and 0 of the block.
TEST(RandomStream, MatchesPhiloxKnownAnswers) {
  EXPECT_EQ(RandomStream(0, std::uint64_t{0}).bits(0), 0xE169C58D6627E8D5ULL);
  EXPECT_EQ(RandomStream(kAll, kAll).bits(kAll), 0x41C83B0E408F276DULL);
  EXPECT_EQ(RandomStream(0x299F31D0A4093822ULL, std::uint64_t{0x0370734413198A2EULL})
                .bits(0x85A308D3243F6A88ULL),
            0x94FDCCEBD16CFE09ULL);
}

// Signs use all 128 bits of a block, lowest first.
TEST(RandomStream, SignsAreTheBitsOfPhilox) {
  const std::array<std::uint32_t, 4> words{0x6627E8D5U, 0xE169C58DU, 0xBC57AC4CU, 0x9B00DBD8U};
  const at::Tensor signs = RandomStream(0).signs({2, 100}, at::kFloat).flatten();
  for (std::uint32_t i = 0; i < 128; ++i) {
    const float expected = (words[i / 32] >> (i % 32) & 1U) != 0 ? 1 : -1;
    EXPECT_EQ(signs[i].item<float>(), expected) << i;
  }
}

TEST(RandomStream, UniformUsesTheTop53Bits) {
  const RandomStream stream(7, "weights");
  for (std::uint64_t position = 0; position < 100; ++position)
    EXPECT_EQ(stream.uniform(position),
              std::ldexp(static_cast<double>(stream.bits(position) >> 11), -53));
}

TEST(RandomStream, TensorsAreAddressedByPosition) {
  const RandomStream stream(7, "weights");
  const at::Tensor numbers = stream.uniform({3, 5}, -1, 3, at::kDouble);
  for (std::int64_t i = 0; i < numbers.numel(); ++i)
    EXPECT_EQ(numbers.flatten()[i].item<double>(),
              -1 + 4 * stream.uniform(static_cast<std::uint64_t>(i)));
  // A longer tensor begins with the numbers of a shorter one.
  EXPECT_TRUE(at::equal(stream.normal({1000}, at::kFloat).narrow(0, 0, 10),
                        stream.normal({10}, at::kFloat)));
  EXPECT_TRUE(
      at::equal(stream.signs({1000}, at::kFloat).narrow(0, 0, 10), stream.signs({10}, at::kFloat)));
}

TEST(RandomStream, StreamsAreTheirOwn) {
  std::set<std::uint64_t> seen;
  std::size_t count = 0;
  const auto add = [&](const RandomStream& stream) {
    seen.insert(stream.bits(0));
    ++count;
  };
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
    add(RandomStream(seed, "weights"));
    add(RandomStream(seed, "noise"));
    add(RandomStream(seed, ""));
    for (std::uint64_t index = 0; index < 100; ++index) add(RandomStream(seed, index));
    for (std::uint64_t index = 0; index < 100; ++index)
      add(RandomStream(seed, "weights").at(index));
    for (std::uint64_t index = 0; index < 100; ++index)
      add(RandomStream(seed, "weights").at(1).at(index));
  }
  EXPECT_EQ(seen.size(), count);
  EXPECT_EQ(RandomStream(3, "weights").at(5).bits(9), RandomStream(3, "weights").at(5).bits(9));
}

TEST(RandomStream, UniformHasTheRightMoments) {
  constexpr std::int64_t n = 400000;
  const at::Tensor x = RandomStream(11, "uniform").uniform({n}, 0, 1, at::kDouble);
  EXPECT_GE(x.min().item<double>(), 0.0);
  EXPECT_LT(x.max().item<double>(), 1.0);
  const at::Tensor c = x - 0.5;
  const double root = std::sqrt(static_cast<double>(n));
  expect_mean(c.mean().item<double>(), 0, std::sqrt(1.0 / 12) / root);
  // Var c² = 1/80 − 1/144 = 1/180.
  expect_mean(c.square().mean().item<double>(), 1.0 / 12, std::sqrt(1.0 / 180) / root);
  // The product of neighbours has mean 0 and standard deviation 1/12.
  expect_mean((c.narrow(0, 0, n - 1) * c.narrow(0, 1, n - 1)).mean().item<double>(), 0,
              1.0 / 12 / root);
}

TEST(RandomStream, NormalHasTheRightMoments) {
  constexpr std::int64_t n = 400000;
  const double root = std::sqrt(static_cast<double>(n));
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor x = RandomStream(12, "normal").normal({n / 4, 4}, type);
    EXPECT_EQ(x.scalar_type(), type);
    EXPECT_TRUE(at::isfinite(x).all().item<bool>());
    const at::Tensor z = x.to(at::kDouble).flatten();
    // Moments of the standard normal: E z², z⁴, z⁶, z⁸ = 1, 3, 15, 105.
    expect_mean(z.mean().item<double>(), 0, 1 / root);
    expect_mean(z.pow(2).mean().item<double>(), 1, std::sqrt(3.0 - 1) / root);
    expect_mean(z.pow(3).mean().item<double>(), 0, std::sqrt(15.0) / root);
    expect_mean(z.pow(4).mean().item<double>(), 3, std::sqrt(105.0 - 9) / root);
    expect_mean((z.narrow(0, 0, n - 1) * z.narrow(0, 1, n - 1)).mean().item<double>(), 0, 1 / root);
    const double tail = std::erfc(3 / std::sqrt(2.0));  // P(|z| > 3)
    expect_mean(z.abs().gt(3).to(at::kDouble).mean().item<double>(), tail, std::sqrt(tail) / root);
  }
}

TEST(RandomStream, SignsHaveTheRightMoments) {
  constexpr std::int64_t n = 400000;
  const double root = std::sqrt(static_cast<double>(n));
  const at::Tensor x = RandomStream(13, "signs").signs({n}, at::kDouble);
  EXPECT_TRUE(x.abs().eq(1).all().item<bool>());
  expect_mean(x.mean().item<double>(), 0, 1 / root);
  for (const std::int64_t lag : {1, 32, 128})
    expect_mean((x.narrow(0, 0, n - lag) * x.narrow(0, lag, n - lag)).mean().item<double>(), 0,
                1 / root);
}

TEST(RandomStream, BelowIsUniform) {
  constexpr int n = 60000;
  constexpr std::uint64_t bound = 6;
  const RandomStream stream(14, "dice");
  std::array<int, bound> counts{};
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t face = stream.below(bound, i);
    ASSERT_LT(face, bound);
    ++counts[face];
  }
  constexpr double p = 1.0 / bound;
  for (const int count : counts)
    expect_mean(static_cast<double>(count) / n, p, std::sqrt(p * (1 - p) / n));
  EXPECT_EQ(stream.below(1, 5), 0U);
}

TEST(RandomStream, PermutationHoldsEveryIndexOnce) {
  for (const std::int64_t count : {0, 1, 2, 1000}) {
    std::vector<std::int64_t> order = RandomStream(15, "order").permutation(count);
    std::sort(order.begin(), order.end());
    std::vector<std::int64_t> expected(static_cast<std::size_t>(count));
    std::iota(expected.begin(), expected.end(), std::int64_t{0});
    EXPECT_EQ(order, expected);
  }
}

TEST(RandomStream, PermutationDependsOnSeedAndStream) {
  const auto order = RandomStream(15, "order").permutation(100);
  EXPECT_EQ(RandomStream(15, "order").permutation(100), order);
  EXPECT_NE(RandomStream(16, "order").permutation(100), order);
  EXPECT_NE(RandomStream(15, "other").permutation(100), order);
  EXPECT_NE(RandomStream(15, "order").at(1).permutation(100), order);
}

TEST(RandomStream, PermutationsAreEquallyLikely) {
  constexpr int n = 24000;
  std::map<std::vector<std::int64_t>, int> counts;
  for (std::uint64_t i = 0; i < n; ++i) ++counts[RandomStream(17, "order").at(i).permutation(4)];
  EXPECT_EQ(counts.size(), 24U);
  constexpr double p = 1.0 / 24;
  for (const auto& [order, count] : counts)
    expect_mean(static_cast<double>(count) / n, p, std::sqrt(p * (1 - p) / n));
}

TEST(RandomStream, SameBitsWithAnyThreads) {
  const int before = threads();
  const RandomStream stream(18, "threads");
  const auto draw = [&](int count) {
    set_threads(count);
    return std::vector<at::Tensor>{stream.uniform({100003}, -1, 1, at::kFloat),
                                   stream.normal({100003}, at::kFloat),
                                   stream.signs({100003}, at::kFloat)};
  };
  const auto one = draw(1);
  const auto two = draw(2);
  set_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], two[i])) << i;
}

TEST(RandomStream, RefusesUnfitArguments) {
  const RandomStream stream(1);
  EXPECT_THAT([&] { stream.permutation(-1); },
              ::testing::ThrowsMessage<std::invalid_argument>(
                  ::testing::StrEq("[RandomStream] cannot permute -1 items")));
  EXPECT_THAT([&] { stream.normal({3}, at::kLong); },
              ::testing::ThrowsMessage<std::invalid_argument>(
                  ::testing::StrEq("[RandomStream] tensors are float32 or float64, got Long")));
}

}  // namespace
}  // namespace decorr
