#include "decorr/sweep/distribution.h"

#include "decorr/train/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <cmath>
#include <set>
#include <string>

namespace decorr::sweep {
namespace {

using testing::HasSubstr;
using testing_support::error_of;

Distribution read(const std::string& text) {
  const train::Node document = train::parse_document("x = " + text, "s.toml");
  return read_distribution("optimizer.lr", document.items.front());
}

double real(const train::Node& node) { return std::get<double>(node.scalar); }

TEST(Distribution, LogUniformIsUniformInTheLogarithm) {
  const Distribution distribution = read("{ log_uniform = [1e-4, 1e-2] }");
  const RandomStream stream(1, "optimizer.lr");
  constexpr int kDraws = 4000;
  int below = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = real(distribution.draw(stream, static_cast<std::uint64_t>(i)));
    ASSERT_GE(value, 1e-4);
    ASSERT_LE(value, 1e-2);
    below += value < 1e-3 ? 1 : 0;
  }
  // Half of them below the geometric mean; five standard errors of a share of one half.
  EXPECT_NEAR(static_cast<double>(below) / kDraws, 0.5, 5 * 0.5 / std::sqrt(kDraws));
}

TEST(Distribution, UniformStaysInside) {
  const Distribution distribution = read("{ uniform = [-1, 3] }");
  const RandomStream stream(1, "x");
  constexpr int kDraws = 4000;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = real(distribution.draw(stream, static_cast<std::uint64_t>(i)));
    ASSERT_GE(value, -1);
    ASSERT_LE(value, 3);
    sum += value;
  }
  EXPECT_NEAR(sum / kDraws, 1, 5 * 4 / std::sqrt(12.0 * kDraws));
}

TEST(Distribution, IntUniformReachesBothEnds) {
  const Distribution distribution = read("{ int_uniform = [-1, 2] }");
  const RandomStream stream(1, "x");
  std::set<std::int64_t> seen;
  for (std::uint64_t i = 0; i < 100; ++i)
    seen.insert(std::get<std::int64_t>(distribution.draw(stream, i).scalar));
  EXPECT_EQ(seen, (std::set<std::int64_t>{-1, 0, 1, 2}));
}

TEST(Distribution, DrawsDependOnSeedAndNumberAlone) {
  const Distribution distribution = read("{ log_uniform = [1e-4, 1e-2] }");
  const double first = real(distribution.draw(RandomStream(1, "a"), 3));
  EXPECT_EQ(real(distribution.draw(RandomStream(1, "a"), 3)), first);
  EXPECT_NE(real(distribution.draw(RandomStream(2, "a"), 3)), first);
  EXPECT_NE(real(distribution.draw(RandomStream(1, "b"), 3)), first);
  EXPECT_NE(real(distribution.draw(RandomStream(1, "a"), 4)), first);
}

TEST(Distribution, TextReadsBack) {
  for (const char* text : {"{ uniform = [0.5, 3.0] }", "{ log_uniform = [0.001, 1.0] }",
                           "{ int_uniform = [1, 8] }", "{ choice = [\"a\", 2, [1, 2]] }"})
    EXPECT_EQ(read(text).text(), text);
}

TEST(Distribution, NamesWhatIsWrong) {
  const auto error = [](const std::string& text) {
    return error_of<train::ConfigError>([&] { read(text); });
  };
  EXPECT_EQ(error("{ log_unifrom = [1, 2] }"),
            "unknown distribution \"log_unifrom\" of \"optimizer.lr\", s.toml:1, did you mean "
            "\"log_uniform\"?");
  EXPECT_THAT(error("0.1"), HasSubstr("must be one distribution, got the float 0.1"));
  EXPECT_THAT(error("{ uniform = [1, 2], choice = [1] }"), HasSubstr("must be one distribution"));
  EXPECT_THAT(error("{ uniform = [2, 1] }"), HasSubstr("to a greater one, got [2, 1]"));
  EXPECT_THAT(error("{ uniform = [1] }"), HasSubstr("must be a list of two numbers"));
  EXPECT_THAT(error("{ uniform = [1, inf] }"), HasSubstr("to a greater one"));
  EXPECT_THAT(error("{ log_uniform = [0, 1] }"), HasSubstr("must start above 0, got 0"));
  EXPECT_THAT(error("{ int_uniform = [0.5, 1] }"), HasSubstr("a list of two integers"));
  EXPECT_THAT(error("{ int_uniform = [0, 9100000000000000000] }"), HasSubstr("beyond 9e15"));
  EXPECT_THAT(error("{ choice = [] }"), HasSubstr("got an empty one"));
}

}  // namespace
}  // namespace decorr::sweep
