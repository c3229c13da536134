#include "decorr/linalg/gemm.h"

#include "decorr/core/random.h"
#include "decorr/core/threads.h"
#include "decorr/linalg/norm.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <thread>

namespace decorr::linalg {
namespace {

using testing::HasSubstr;

at::Tensor random(at::IntArrayRef sizes, at::ScalarType type, std::uint64_t stream) {
  return RandomStream(7, stream).normal(sizes, at::TensorOptions().dtype(type));
}

// The definition, in float64.
at::Tensor naive(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble).contiguous();
  const at::Tensor y = b.to(at::kDouble).contiguous();
  at::Tensor out = at::zeros({x.size(0), y.size(1)}, at::kDouble);
  const auto xa = x.accessor<double, 2>();
  const auto ya = y.accessor<double, 2>();
  auto oa = out.accessor<double, 2>();
  for (std::int64_t i = 0; i < x.size(0); ++i)
    for (std::int64_t k = 0; k < x.size(1); ++k)
      for (std::int64_t j = 0; j < y.size(1); ++j) oa[i][j] += xa[i][k] * ya[k][j];
  return out;
}

double error(const at::Tensor& actual, const at::Tensor& expected) {
  return (actual.to(at::kDouble) - expected).abs().max().item<double>();
}

// 0: row-major, 1: transposed view, 2: rows of a wider matrix, 3: every second column.
at::Tensor operand(std::int64_t rows, std::int64_t columns, int kind, at::ScalarType type,
                   std::uint64_t stream) {
  if (kind == 1) return random({columns, rows}, type, stream).t();
  if (kind == 2) return random({rows, columns + 5}, type, stream).narrow(1, 2, columns);
  if (kind == 3) return random({rows, 2 * columns}, type, stream).slice(1, 0, 2 * columns, 2);
  return random({rows, columns}, type, stream);
}

void expect_definition(std::array<std::int64_t, 3> shape, int a_kind, int b_kind,
                       at::ScalarType type) {
  const auto [m, n, k] = shape;
  SCOPED_TRACE(fmt::format("{} [{}, {}] x [{}, {}], layouts {} and {}", c10::toString(type), m, k,
                           k, n, a_kind, b_kind));
  const at::Tensor a = operand(m, k, a_kind, type, 1);
  const at::Tensor b = operand(k, n, b_kind, type, 2);
  const at::Tensor expected = naive(a, b);
  // |error| <= k·eps·|A||B| elementwise; the largest entries of these normal draws stay under 6.
  const double unit = type == at::kFloat ? std::numeric_limits<float>::epsilon() : 2.3e-16;
  const double bound = 36 * static_cast<double>(k) * unit;
  EXPECT_LE(error(gemm(a, b), expected), bound);

  at::Tensor out = random({m, n}, type, 3);
  const at::Tensor combined = 0.5 * expected - 2.0 * out.to(at::kDouble);
  gemm_(out, a, b, 0.5, -2.0);
  EXPECT_LE(error(out, combined), bound + 40 * unit);
}

TEST(Gemm, AgreesWithTheDefinitionForEveryLayout) {
  const std::array<std::int64_t, 3> shapes[] = {{1, 1, 1}, {3, 5, 7},    {1, 9, 4},
                                                {9, 1, 4}, {26, 33, 17}, {64, 48, 130}};
  for (const auto& shape : shapes)
    for (int a_kind = 0; a_kind < 4; ++a_kind)
      for (int b_kind = 0; b_kind < 4; ++b_kind)
        for (const at::ScalarType type : {at::kFloat, at::kDouble})
          expect_definition(shape, a_kind, b_kind, type);
}

TEST(Gemm, DoesNotReadOutWhenBetaIsZero) {
  const at::Tensor a = random({4, 3}, at::kFloat, 1);
  const at::Tensor b = random({3, 5}, at::kFloat, 2);
  for (const at::Tensor& right : {b, b.t().contiguous().t()}) {
    at::Tensor out = at::full({4, 5}, std::nan(""), at::kFloat);
    gemm_(out, a, right);
    EXPECT_LE(error(out, naive(a, b)), 1e-5);
  }
}

TEST(Gemm, EmptyDimensions) {
  at::Tensor out = at::ones({2, 3});
  gemm_(out, at::ones({2, 0}), at::ones({0, 3}), 1, 0.5);
  EXPECT_TRUE(at::equal(out, at::full({2, 3}, 0.5F)));
  EXPECT_EQ(gemm(at::ones({0, 4}), at::ones({4, 3})).sizes(), (at::IntArrayRef{0, 3}));
}

TEST(Gemm, RefusesWhatDoesNotFit) {
  const auto message = [](const at::Tensor& a, const at::Tensor& b) {
    try {
      gemm(a, b);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("nothing thrown");
  };
  EXPECT_THAT(message(at::ones({2, 3}), at::ones({4, 5})), HasSubstr("Float[2, 3], Float[4, 5]"));
  EXPECT_THAT(message(at::ones({2}), at::ones({2, 5})), HasSubstr("expected A [m, k]"));
  EXPECT_THAT(message(at::ones({2, 3}), at::ones({3, 5}, at::kDouble)), HasSubstr("share type"));
  at::Tensor out = at::ones({5, 2}).t();
  EXPECT_THROW(gemm_(out, at::ones({2, 3}), at::ones({3, 5})), std::invalid_argument);
}

TEST(Gemm, WorksFromSeveralThreads) {
  const at::Tensor a = random({40, 30}, at::kFloat, 1);
  const at::Tensor b = random({20, 30}, at::kFloat, 2).t();
  const at::Tensor expected = naive(a, b);
  std::array<double, 4> errors{};
  std::vector<std::thread> workers;
  for (double& slot : errors)
    workers.emplace_back([&] {
      set_threads(1);
      for (int i = 0; i < 50; ++i) slot = std::max(slot, error(gemm(a, b), expected));
    });
  for (std::thread& worker : workers) worker.join();
  for (const double slot : errors) EXPECT_LE(slot, 1e-4);
}

TEST(Gemm, CountsFlops) {
  const FlopCounter counter;
  gemm(at::ones({2, 3}), at::ones({3, 5}));
  gemm(at::ones({2, 3}, at::kDouble), at::ones({3, 5}, at::kDouble));
  EXPECT_EQ(counter.count(), 2 * 2 * 2 * 3 * 5);
}

TEST(RankKUpdate, AgreesWithTheDefinition) {
  const at::Tensor u = random({6, 20}, at::kDouble, 1);
  const at::Tensor v = random({6, 30}, at::kDouble, 2);
  at::Tensor r = random({20, 30}, at::kDouble, 3);
  const at::Tensor expected = 1.5 * r - 0.25 * naive(u.t(), v);
  rank_k_update_(r, u, v, -0.25, 1.5);
  EXPECT_LE(error(r, expected), 1e-13);
  EXPECT_LE(error(gram(u), naive(u, u.t())), 1e-13);
}

TEST(SpectralNorm, FindsTheLargestSingularValue) {
  // Singular values are the diagonal's, whatever the rotation.
  const at::Tensor q = std::get<0>(at::linalg_qr(random({12, 12}, at::kDouble, 4)));
  const at::Tensor d = at::linspace(1, 7, 12, at::kDouble);
  EXPECT_NEAR(spectral_norm(at::matmul(q * d, q.t()), 1e-12, 10000), 7, 1e-6);
  EXPECT_EQ(spectral_norm(at::zeros({3, 4})), 0);
  EXPECT_EQ(spectral_norm(at::zeros({0, 4})), 0);
  EXPECT_TRUE(std::isnan(spectral_norm(at::full({2, 2}, std::nan("")))));
}

}  // namespace
}  // namespace decorr::linalg
