#include "decorr/linalg/block_diagonal.h"

#include "decorr/core/random.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace decorr::linalg {
namespace {

// A random block-diagonal matrix in compact form [n, b], unused ends zero.
at::Tensor random_blocks(std::int64_t n, std::int64_t b, at::ScalarType type) {
  at::Tensor matrix = RandomStream(4, "blocks").normal({n, b}, type);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < b; ++j)
      if (i / b * b + j >= n) matrix[i][j] = 0;
  return matrix;
}

// The n×n matrix, entry by entry from the definition.
at::Tensor naive_dense(const at::Tensor& matrix) {
  const std::int64_t n = matrix.size(0), b = matrix.size(1);
  at::Tensor full = at::zeros({n, n}, matrix.options());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      if (i / b == j / b) full[i][j] = matrix[i][j % b];
  return full;
}

TEST(BlockDiagonal, IdentityIsTheIdentity) {
  for (const std::int64_t b : {1, 3, 4, 5, 12})
    EXPECT_TRUE(at::equal(naive_dense(block_identity(12, b)), at::eye(12))) << b;
}

TEST(BlockDiagonal, BlocksCoverTheFeaturesInOrder) {
  const at::Tensor matrix = random_blocks(13, 5, at::kDouble);
  ASSERT_EQ(block_count(matrix), 3);
  const at::Tensor full = naive_dense(matrix);
  const std::int64_t sizes[] = {5, 5, 3};
  for (std::int64_t i = 0; i < 3; ++i)
    EXPECT_TRUE(
        at::equal(block(matrix, i), full.narrow(0, i * 5, sizes[i]).narrow(1, i * 5, sizes[i])));
}

TEST(BlockDiagonal, ABlockSharesTheMatrixsMemory) {
  const at::Tensor matrix = random_blocks(13, 5, at::kFloat);
  block(matrix, 2).fill_(7);
  EXPECT_EQ(matrix[12][2].item<float>(), 7);
  EXPECT_EQ(matrix[12][3].item<float>(), 0) << "the unused end of a row must stay zero";
  EXPECT_NE(matrix[9][0].item<float>(), 7);
}

TEST(BlockDiagonal, DenseAgreesWithTheDefinition) {
  for (const std::int64_t b : {1, 4, 5, 13})
    EXPECT_TRUE(at::equal(dense(random_blocks(13, b, at::kDouble)),
                          naive_dense(random_blocks(13, b, at::kDouble))))
        << b;
  const at::Tensor diagonal = RandomStream(4, "diagonal").normal({6}, at::kFloat);
  EXPECT_TRUE(at::equal(dense(diagonal), at::diag(diagonal)));
}

TEST(BlockDiagonal, ProductsAgreeWithTheFullMatrix) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble})
    for (const std::int64_t b : {1, 4, 5, 13})
      for (const std::int64_t rows : {0, 1, 7}) {
        const at::Tensor matrix = random_blocks(13, b, type);
        const at::Tensor full = naive_dense(matrix).to(at::kDouble);
        const at::Tensor x = RandomStream(4, "x").normal({rows, 13}, type);
        // A view with strides of its own, too.
        const at::Tensor strided = RandomStream(4, "y").normal({13, rows}, type).t();
        const double tolerance = type == at::kFloat ? 1e-5 : 1e-13;
        for (const at::Tensor& input : {x, strided}) {
          const at::Tensor reference = input.to(at::kDouble);
          EXPECT_TRUE(at::allclose(times(input, matrix).to(at::kDouble),
                                   at::matmul(reference, full), tolerance, tolerance))
              << b;
          EXPECT_TRUE(at::allclose(times_transposed(input, matrix).to(at::kDouble),
                                   at::matmul(reference, full.t()), tolerance, tolerance))
              << b;
        }
      }
}

TEST(BlockDiagonal, ADiagonalMatrixScalesColumns) {
  const at::Tensor diagonal = RandomStream(4, "diagonal").normal({6}, at::kFloat);
  const at::Tensor x = RandomStream(4, "x").normal({5, 6}, at::kFloat);
  EXPECT_TRUE(at::equal(times(x, diagonal), x * diagonal));
  EXPECT_TRUE(at::equal(times_transposed(x, diagonal), x * diagonal));
}

TEST(BlockDiagonal, ProductsCostTheBlocksAlone) {
  const at::Tensor matrix = random_blocks(12, 4, at::kFloat);
  const at::Tensor x = RandomStream(4, "x").normal({7, 12}, at::kFloat);
  const FlopCounter flops;
  times(x, matrix);
  EXPECT_EQ(flops.count(), 2U * 7 * 12 * 4);
}

TEST(BlockDiagonal, RefusesRowsOfAnotherWidth) {
  const at::Tensor matrix = random_blocks(13, 5, at::kFloat);
  for (const at::Tensor& bad : {at::zeros({3, 12}), at::zeros({13}), at::zeros({2, 3, 13})}) {
    try {
      times(bad, matrix);
      FAIL() << "accepted";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("expected rows [N, 13], got ["));
    }
  }
}

}  // namespace
}  // namespace decorr::linalg
