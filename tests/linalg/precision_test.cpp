#include "decorr/linalg/precision.h"

#include "decorr/core/random.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace decorr::linalg {
namespace {

at::Tensor random(at::IntArrayRef sizes, std::uint64_t stream) {
  return RandomStream(7, stream).normal(sizes, at::kFloat);
}

at::Tensor rounded(const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kDouble); }

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

TEST(Precision, ProductsOfBfloat16AreSummedInFloat32) {
  const at::Tensor a = random({37, 300}, 0), b = random({300, 41}, 1);
  const at::Tensor x = a.to(at::kBFloat16), y = b.to(at::kBFloat16);
  if (!has_bfloat16()) {
    EXPECT_THROW(gemm(x, y), std::invalid_argument);
    return;
  }
  const at::Tensor expected = at::matmul(rounded(a), rounded(b));
  const at::Tensor product = gemm(x, y);
  EXPECT_EQ(product.scalar_type(), at::kFloat);
  EXPECT_LE(relative_error(product, expected), 1e-6);
  EXPECT_LE(relative_error(gemm(x.t().contiguous().t(), y), expected), 1e-6);
  EXPECT_LE(relative_error(gemm(x, y.t().contiguous().t()), expected), 1e-6);
  at::Tensor out = at::empty({37, 41});
  EXPECT_THROW(gemm_(out, x, y, 2), std::invalid_argument);
  EXPECT_THROW(gemm_(out, x, b), std::invalid_argument);
}

TEST(Precision, ProductsWithBlocksAreRoundedIfAsked) {
  for (const std::int64_t block : {10, 4}) {
    const at::Tensor x = random({7, 10}, 0);
    at::Tensor matrix = block_identity(10, block);
    for (std::int64_t i = 0; i < block_count(matrix); ++i) {
      at::Tensor part = decorr::linalg::block(matrix, i);
      part.add_(random(part.sizes(), static_cast<std::uint64_t>(i + 1)), 0.3);
    }
    const at::Tensor full = dense(matrix.to(at::kDouble));
    const at::Tensor exact = at::matmul(x.to(at::kDouble), full);
    const at::Tensor coarse = at::matmul(rounded(x), rounded(dense(matrix)));
    EXPECT_LE(relative_error(times(x, matrix), exact), 1e-6);
    if (!has_bfloat16()) {
      EXPECT_THROW(times(x, matrix, true), std::invalid_argument);
      continue;
    }
    EXPECT_LE(relative_error(times(x, matrix, true), coarse), 1e-6);
    EXPECT_GT(relative_error(times(x, matrix, true), exact), 1e-4);
  }
}

TEST(Precision, FollowsLibTorchsSetting) {
  EXPECT_FALSE(bfloat16_products());
  {
    const ProductPrecision precision(true);
    EXPECT_EQ(bfloat16_products(), has_bfloat16());
    {
      const ProductPrecision inner(false);
      EXPECT_FALSE(bfloat16_products());
    }
    EXPECT_EQ(bfloat16_products(), has_bfloat16());
  }
  EXPECT_FALSE(bfloat16_products());
  EXPECT_EQ(at::globalContext().float32MatmulPrecision(), at::Float32MatmulPrecision::HIGHEST);
}

TEST(Precision, OnlyFloat32IsRounded) {
  const at::Tensor x = random({3, 4}, 0);
  EXPECT_EQ(operand(x, true).scalar_type(), at::kBFloat16);
  EXPECT_TRUE(operand(x, false).is_same(x));
  EXPECT_EQ(operand(x.to(at::kDouble), true).scalar_type(), at::kDouble);
}

}  // namespace
}  // namespace decorr::linalg
