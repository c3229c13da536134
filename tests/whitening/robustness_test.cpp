// Every method at its default settings on data that breaks whitening: nearly or quite singular
// covariances, features that repeat others or never change, batches of one.
#include <gtest/gtest.h>

#include "tests/whitening/method_support.h"
#include <iostream>
#include <ostream>

namespace decorr::whitening {
namespace {

constexpr std::int64_t kFeatures = 64, kPool = 8192, kBatch = 256;

// The whole population of the data, float64 [8192, 64].
at::Tensor make_pool(const std::string& data) {
  if (data == "condition_1e8") return CorrelatedGaussian(kFeatures, 1e8).sample(kPool, 1) / 1e4;
  if (data == "rank_8") return at::matmul(normal({kPool, 8}, 1), normal({8, kFeatures}, 2)) + 0.5;
  const at::Tensor half = CorrelatedGaussian(kFeatures / 2, 100).sample(kPool, 1);
  if (data == "duplicated_features") return at::cat({half, half}, 1);
  return at::cat({half, at::linspace(-2, 2, kFeatures / 2, kFloat64).expand_as(half)}, 1);
}

struct Case {
  std::string method, data;
  std::int64_t updates;
};

std::ostream& operator<<(std::ostream& stream, const Case& item) {
  return stream << item.method << " on " << item.data << ", " << item.updates << " updates";
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return test_name(info.param.method + "_" + info.param.data);
}

// At the fixed point of a rule that makes the damped covariance white, R(Σ + λv̄I)Rᵀ = c²I. With the
// gain `energy` c² is the mean of the damped variances, (1 + λ)v̄, so that R = c·Q·(Σ + λv̄I)^(-1/2)
// with Q orthogonal and
//
//   ‖R‖₂² <= (1 + λ)v̄ / (λ_min(Σ) + λv̄) <= (1 + λ)/λ.
//
// The others end at R(Σ + λv̄I)Rᵀ = D, diagonal. The gain keeps the trace of D at n(1 + λ)v̄, no
// entry exceeds that, and ‖R‖₂² <= n(1 + λ)/λ. `standardize` is in units of the input:
// ‖R‖₂² <= 1/(λv̄). The sample's noise, of 26 rows, may add half.
double norm_bound(const DecorrelatorOptions& options, double mean_variance) {
  const double damping = options.damping;
  double square = (1 + damping) / damping;
  if (options.method == "copi" || options.method == "lateral") square *= kFeatures;
  if (options.method == "standardize") square = 1 / (damping * mean_variance);
  return 1.5 * std::sqrt(square);
}

class Robustness : public testing::TestWithParam<Case> {};

TEST_P(Robustness, StaysFiniteAndBoundedAndMeetsTheDampedTarget) {
  const auto& [method, data, updates] = GetParam();
  const at::Tensor pool = make_pool(data);
  const at::Tensor centred = pool - pool.mean(0);
  const at::Tensor covariance = at::matmul(centred.t(), centred) / kPool;
  const at::Tensor target = damped(covariance, DecorrelatorOptions().damping);
  const double start = block_energy({}, target);

  DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  Decorrelator decorrelator(kFeatures, options, RandomStream(1, "layer"));
  const double bound = norm_bound(options, covariance.diagonal().mean().item<double>());
  at::Tensor weight = normal({4, kFeatures}, 3).to(at::kFloat);
  at::Tensor bias = at::zeros({4});
  const at::Tensor rows = pool.to(at::kFloat);
  const RandomStream offsets(1, "offsets");
  double largest = 0;
  std::int64_t batches_of_one = 0;
  for (std::int64_t i = 1; i <= updates; ++i) {
    const auto begin =
        static_cast<std::int64_t>(offsets.below(kPool - kBatch, static_cast<std::uint64_t>(i)));
    const std::int64_t count = i % 10 == 0 ? 1 : kBatch;
    const UpdateReport report = feed(decorrelator, rows.narrow(0, begin, count), {{weight, bias}});
    ASSERT_EQ(report.outcome,
              count == 1 ? UpdateReport::Outcome::kSkipped : UpdateReport::Outcome::kApplied)
        << "update " << i << ": " << report.reason;
    batches_of_one += count == 1 ? 1 : 0;
    if (i % 200 != 0) continue;
    const double norm = decorrelator->matrix_norm();
    ASSERT_LE(norm, bound) << "update " << i;  // not if NaN
    largest = std::max(largest, norm);
  }
  EXPECT_EQ(decorrelator->skipped(), batches_of_one);
  for (const at::Tensor& tensor :
       {decorrelator->matrix(), decorrelator->running_mean(), weight, bias})
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>());

  const double energy = block_energy(matrices(*decorrelator), target);
  std::cout << GetParam() << ": energy of the damped covariance " << start << " -> " << energy
            << ", largest norm of R " << largest << " (bound " << bound << ")\n";
  RecordProperty("energy", std::to_string(energy));
  RecordProperty("largest_norm", std::to_string(largest));
  if (method == "standardize") return;
  ASSERT_GT(start, 0.2) << "the data is not correlated to begin with";
  EXPECT_LT(energy, 0.10);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  std::vector<std::string> methods = decorrelating_methods();
  methods.emplace_back("standardize");
  for (const std::string& method : methods)
    for (const char* data : {"condition_1e8", "rank_8", "duplicated_features", "constant_features"})
      cases.push_back({method, data, 10000});
  return cases;
}

std::vector<Case> some_cases() {
  return {{"norm-preserving", "rank_8", 2000},
          {"copi", "duplicated_features", 2000},
          {"dbp", "rank_8", 2000},
          {"relative-gradient", "constant_features", 2000},
          {"lateral", "rank_8", 2000},
          {"zca", "condition_1e8", 2000},
          {"pca", "rank_8", 2000},
          {"cholesky", "duplicated_features", 2000},
          {"newton-schulz", "condition_1e8", 2000},
          {"standardize", "constant_features", 2000}};
}

INSTANTIATE_TEST_SUITE_P(Some, Robustness, testing::ValuesIn(some_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Nightly, Robustness, testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace decorr::whitening
