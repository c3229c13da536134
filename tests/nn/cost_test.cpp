// What a training step costs in matrix products.
#include "decorr/linalg/gemm.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

namespace decorr::nn {
namespace {

using Outcome = whitening::UpdateReport::Outcome;

// Sees every matrix product or factorisation that ATen makes: those are not in FlopCounter's count.
class AtenProducts {
 public:
  AtenProducts() {
    largest_operand = 0;
    const auto start =
        [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
      const std::string name = function.name();
      for (const char* part : {"mm", "matmul", "mv", "linalg", "einsum", "solve", "inverse"})
        if (name.find(part) != std::string::npos)
          for (const c10::IValue& input : function.inputs())
            if (input.isTensor() && input.toTensor().defined())
              largest_operand = std::max<std::int64_t>(largest_operand, input.toTensor().numel());
      return nullptr;
    };
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(start).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  }
  ~AtenProducts() { at::removeCallback(handle_); }
  AtenProducts(const AtenProducts&) = delete;
  AtenProducts& operator=(const AtenProducts&) = delete;

  static inline std::atomic<std::int64_t> largest_operand{0};

 private:
  at::CallbackHandle handle_;
};

constexpr std::int64_t kBatch = 64;
constexpr std::int64_t kSamples = 16;

// What the matrix products of a training step do.
struct Work {
  double operations, bytes;
};

// One training step of a layer of width n in the middle of a network.
Work step_work(const std::string& method, std::int64_t n, std::int64_t outputs) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.sample_fraction = 1;
  options.max_samples = kSamples;
  Linear layer(LinearOptions(n, outputs).decorrelation(options));
  const at::Tensor x = RandomStream(1).normal({kBatch, n}, at::TensorOptions());
  const at::Tensor input = x.clone().set_requires_grad(true);
  const AtenProducts observer;
  const linalg::FlopCounter counter;
  layer(input).square().mean().backward();
  const auto expected = method == "none" ? Outcome::kNotDue : Outcome::kApplied;
  EXPECT_EQ(update(*layer).at(0).report.outcome, expected);
  EXPECT_LE(AtenProducts::largest_operand, kSamples * kSamples)
      << "a matrix product of " << method << " bypasses the counter";
  return {static_cast<double>(counter.count()), static_cast<double>(counter.bytes())};
}

TEST(Update, NoCubicWork) {
  for (const std::int64_t outputs : {std::int64_t{64}, std::int64_t{16}})  // explicit, folded
    for (const char* method : {"norm-preserving", "copi", "standardize"}) {
      SCOPED_TRACE(fmt::format("{}, {} outputs", method, outputs));
      double previous = 0;
      for (const std::int64_t n : {512, 1024, 2048, 4096}) {
        const double operations = step_work(method, n, outputs).operations;
        if (previous > 0) {
          EXPECT_LE(std::log2(operations / previous), 2.05) << "n = " << n;
        }
        previous = operations;
      }
      EXPECT_GT(previous, 6.0 * kBatch * 4096 * static_cast<double>(outputs));
      EXPECT_LT(previous, std::pow(4096.0, 3) / 10);
    }
}

// What decorrelation adds to a plain step grows with the square of the width, in operations and in
// bytes.
TEST(Update, OverheadGrowsWithTheSquareOfTheWidth) {
  Work previous{};
  for (const std::int64_t n : {512, 1024, 2048, 4096, 8192}) {
    const Work decorrelated = step_work("norm-preserving", n, kBatch);
    const Work plain = step_work("none", n, kBatch);
    const Work overhead{decorrelated.operations - plain.operations,
                        decorrelated.bytes - plain.bytes};
    EXPECT_GT(overhead.operations, 0);
    EXPECT_GT(overhead.bytes, 0);
    if (n > 512) {
      EXPECT_LE(std::log2(overhead.operations / previous.operations), 2.05) << "n = " << n;
      EXPECT_LE(std::log2(overhead.bytes / previous.bytes), 2.05) << "n = " << n;
    }
    previous = overhead;
  }
}

}  // namespace
}  // namespace decorr::nn
