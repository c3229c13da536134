// The default preset on the input layer of real images, for as long as a real run. Takes half a
// minute.
#include "decorr/analysis/correlation.h"
#include "decorr/core/random.h"
#include "decorr/data/registry.h"
#include "decorr/data/transform.h"
#include "decorr/whitening/decorrelator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

namespace decorr::whitening {
namespace {

constexpr std::int64_t kFeatures = 784;
constexpr std::int64_t kUpdates = 10000;
constexpr std::int64_t kBatch = 256;

/// Fashion-MNIST's training images as rows of normalised pixels.
class Images {
 public:
  Images() {
    const data::Dataset dataset = data::load("fashion-mnist", "train");
    const data::Normalization normalization = data::measure(dataset);
    mean_ = normalization.mean.at(0);
    std_ = normalization.std.at(0);
    pixels_ = dataset.images.flatten(1);
  }

  /// The random batch of one step, float32 [256, 784].
  at::Tensor batch(std::int64_t step) const {
    const RandomStream random = RandomStream(1, "batches").at(static_cast<std::uint64_t>(step));
    std::vector<std::int64_t> indices;
    for (std::uint64_t i = 0; i < kBatch; ++i)
      indices.push_back(
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(pixels_.size(0)), i)));
    return normalized(pixels_.index_select(0, at::tensor(indices, at::kLong)), at::kFloat);
  }

  /// Covariance of all images, float64 [784, 784].
  at::Tensor covariance() const {
    const auto count = static_cast<double>(pixels_.size(0));
    const at::TensorOptions options = at::TensorOptions().dtype(at::kDouble);
    at::Tensor second = at::zeros({kFeatures, kFeatures}, options);
    at::Tensor sum = at::zeros({kFeatures}, options);
    for (const at::Tensor& chunk : pixels_.split(6000)) {
      const at::Tensor rows = normalized(chunk, at::kDouble);
      second.addmm_(rows.t(), rows);
      sum += rows.sum(0);
    }
    const at::Tensor mean = sum / count;
    return second / count - at::outer(mean, mean);
  }

 private:
  at::Tensor normalized(const at::Tensor& pixels, at::ScalarType type) const {
    return pixels.to(type).div_(255).sub_(mean_).div_(std_);
  }

  at::Tensor pixels_;  // uint8 [60000, 784]
  double mean_ = 0;
  double std_ = 1;
};

/// Σ(C - c̄I)² / Σ(c̄I)²: how far a covariance is from a multiple of the identity.
double distance_from_white(const at::Tensor& c) {
  const at::Tensor relative = c / c.diagonal().mean();
  return (relative - at::eye(c.size(0), c.options())).square().sum().item<double>() /
         static_cast<double>(c.size(0));
}

class SlowDamping : public testing::Test {
 protected:
  static Decorrelator make(const DecorrelatorOptions& options) {
    return Decorrelator(kFeatures, options, RandomStream(1, "input layer"));
  }

  /// Updates `decorrelator` with random batches; returns the largest ‖R‖₂ at every 500th update.
  double train(Decorrelator& decorrelator) {
    double largest = 0;
    for (std::int64_t i = 1; i <= kUpdates; ++i) {
      decorrelator->observe(images_.batch(i));
      EXPECT_EQ(decorrelator->update().outcome, UpdateReport::Outcome::kApplied) << "update " << i;
      if (i % 500 != 0) continue;
      const double norm = decorrelator->matrix_norm();
      std::cout << "update " << i << ": norm of R " << norm << std::endl;
      largest = std::max(largest, norm);
    }
    record("largest_norm", largest);
    return largest;
  }

  /// Prints a figure and puts it into the test's record.
  static void record(const std::string& name, double value) {
    std::cout << name << ": " << value << std::endl;
    RecordProperty(name, std::to_string(value));
  }

  Images images_;
};

TEST_F(SlowDamping, DefaultPresetIsStableAndMeetsTheDampedTargetOnFashionMnist) {
  DecorrelatorOptions options;
  options.update_every = 1;
  ASSERT_GT(options.damping, 0);
  Decorrelator decorrelator = make(options);
  EXPECT_LT(train(decorrelator), 10);

  const at::Tensor covariance = images_.covariance();
  const double mean_variance = covariance.diagonal().mean().item<double>();
  const at::Tensor identity = at::eye(kFeatures, covariance.options());
  const at::Tensor damped = covariance + identity * (options.damping * mean_variance);
  const at::Tensor matrix = decorrelator->matrix().to(at::kDouble);
  const at::Tensor reached = at::matmul(at::matmul(matrix, damped), matrix.t());
  const double energy = analysis::off_diagonal_energy(reached);
  record("input_energy", analysis::off_diagonal_energy(covariance));
  record("damped_input_energy", analysis::off_diagonal_energy(damped));
  record("damped_input_distance_from_white", distance_from_white(damped));
  record("undamped_output_energy",
         analysis::off_diagonal_energy(at::matmul(at::matmul(matrix, covariance), matrix.t())));
  record("off_diagonal_energy", energy);
  record("distance_from_white", distance_from_white(reached));
  EXPECT_LT(energy, 0.10);
}

// Without damping the gain amplifies every direction that the data does not fill, the faster the
// larger η is.
TEST_F(SlowDamping, WithoutDampingRGrowsPast5000OnFashionMnist) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.damping = 0;
  options.lr = 2e-3;
  Decorrelator decorrelator = make(options);
  EXPECT_GT(train(decorrelator), 5000);
}

}  // namespace
}  // namespace decorr::whitening
