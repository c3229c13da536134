#include "decorr/learning/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/nn/support.h"
#include <cmath>

namespace decorr::learning {
namespace {

using nn::kFloat64;
using nn::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

const at::Tensor& classes() {
  static const at::Tensor target = at::tensor({2, 0, 3, 3, 1}, at::kLong);
  return target;
}

// The mean over rows of a loss written out entry by entry.
template <typename RowLoss>
double naive_mean(const at::Tensor& logits, RowLoss row_loss) {
  const auto values = logits.accessor<double, 2>();
  double sum = 0;
  for (std::int64_t i = 0; i < logits.size(0); ++i) {
    std::vector<double> row;
    for (std::int64_t k = 0; k < logits.size(1); ++k) row.push_back(values[i][k]);
    sum += row_loss(row, static_cast<std::size_t>(classes()[i].item<std::int64_t>()));
  }
  return sum / static_cast<double>(logits.size(0));
}

double cross_entropy(const std::vector<double>& row, std::size_t target) {
  double total = 0;
  for (const double logit : row) total += std::exp(logit);
  return std::log(total) - row[target];
}

double squared_error(const std::vector<double>& row, std::size_t target) {
  double total = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    const double difference = row[k] - (k == target ? 1 : 0);
    total += difference * difference;
  }
  return total;
}

TEST(Loss, AgreesWithTheFormulas) {
  ASSERT_THAT(losses(), ElementsAre("cross-entropy", "squared-error"));
  const at::Tensor logits = nn::normal({5, 4}, 1) * 3;
  EXPECT_NEAR(Loss("cross-entropy")(logits, classes()).item<double>(),
              naive_mean(logits, cross_entropy), 1e-12);
  EXPECT_NEAR(Loss("squared-error")(logits, classes()).item<double>(),
              naive_mean(logits, squared_error), 1e-12);
  EXPECT_EQ(Loss("cross-entropy")(logits, classes()).dim(), 0);
}

TEST(Loss, CrossEntropyOfHugeLogitsIsFinite) {
  const at::Tensor logits = at::eye(2, kFloat64) * 1e4;
  EXPECT_DOUBLE_EQ(Loss("cross-entropy")(logits, at::tensor({0, 0}, at::kLong)).item<double>(),
                   5e3);
}

TEST(Loss, GradientsAgreeWithTheFormulas) {
  const at::Tensor onehot = at::one_hot(classes(), 4).to(at::kDouble);
  const auto gradient = [](const std::string& name) {
    const at::Tensor logits = nn::normal({5, 4}, 1).set_requires_grad(true);
    Loss{name}(logits, classes()).backward();
    return logits.grad();
  };
  const at::Tensor logits = nn::normal({5, 4}, 1);
  EXPECT_LE(nn::max_error(gradient("cross-entropy"), (at::softmax(logits, 1) - onehot) / 5), 1e-14);
  EXPECT_LE(nn::max_error(gradient("squared-error"), (logits - onehot) * 2 / 5), 1e-14);
}

TEST(Loss, DifferencesAreThoseOfTheLossesAndExactWhereTheyAreSmall) {
  const at::Tensor from = RandomStream(1, 0).normal({6, 5}, at::kDouble) * 3;
  const at::Tensor target = at::tensor({0, 1, 2, 3, 4, 0}, at::kLong);
  for (const std::string& name : losses()) {
    SCOPED_TRACE(name);
    const Loss loss(name);
    const at::Tensor step = RandomStream(1, 1).normal({6, 5}, at::kDouble);
    for (const double size : {1e3, 1.0, 1e-4}) {
      const at::Tensor to = from + size * step;
      const at::Tensor differences = loss.difference(from, to, target);
      for (std::int64_t i = 0; i < 6; ++i) {
        const auto one = [&](const at::Tensor& z) {
          return loss(z.narrow(0, i, 1), target.narrow(0, i, 1)).item<double>();
        };
        const double expected = one(to) - one(from);
        EXPECT_NEAR(differences[i].item<double>(), expected, 1e-12 * std::max(1.0, size * size));
      }
    }
    // A step that the losses themselves would lose: against its first order, whose error is of the
    // second.
    const at::Tensor leaf = from.clone().set_requires_grad(true);
    const at::Tensor gradient = torch::autograd::grad({loss(leaf, target) * 6}, {leaf})[0];
    const double size = 1e-12;
    const at::Tensor to = from + size * step;
    const at::Tensor first_order = (gradient * (to - from)).sum(1);
    EXPECT_LE(((loss.difference(from, to, target) - first_order).abs() / first_order.abs())
                  .max()
                  .item<double>(),
              1e-10);
    EXPECT_EQ(loss.difference(from, from, target).abs().max().item<double>(), 0);
    // A class that was all but impossible comes up.
    const at::Tensor sure = at::tensor({0.0, -60.0, -1.0}, kFloat64).unsqueeze(0);
    const at::Tensor jump = at::tensor({0.0, 38.0, 0.0}, kFloat64).unsqueeze(0);
    const at::Tensor first = at::zeros({1}, at::kLong);
    EXPECT_NEAR(loss.difference(sure, sure + jump, first).item<double>(),
                loss(sure + jump, first).item<double>() - loss(sure, first).item<double>(), 1e-11);
  }
}

TEST(Loss, RefusesBadArguments) {
  EXPECT_THAT(message_of([] { Loss("hinge"); }),
              HasSubstr("[Loss] must be one of cross-entropy, squared-error, got \"hinge\""));
  for (const std::string& name : losses()) {
    const Loss loss(name);
    const auto message = [&loss](at::IntArrayRef logits, at::IntArrayRef target) {
      return message_of([&] { loss(at::zeros(logits), at::zeros(target, at::kLong)); });
    };
    EXPECT_THAT(message({3, 4}, {2}),
                HasSubstr("[Loss] expected logits [N, K] and classes [N] with N > 0, got [3, 4] "
                          "and [2]"));
    EXPECT_THAT(message({3}, {3}), HasSubstr("got [3] and [3]"));
    EXPECT_THAT(message({3, 4}, {3, 1}), HasSubstr("got [3, 4] and [3, 1]"));
    EXPECT_THAT(message({0, 4}, {0}), HasSubstr("got [0, 4] and [0]"));
    for (const std::int64_t wrong : {4, -1}) {
      const at::Tensor target = at::tensor({std::int64_t{1}, wrong}, at::kLong);
      EXPECT_THROW(loss(at::zeros({2, 4}), target), std::invalid_argument)
          << name << ", class " << wrong;
    }
  }
}

}  // namespace
}  // namespace decorr::learning
