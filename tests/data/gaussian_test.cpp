#include "decorr/data/gaussian.h"

#include "decorr/data/registry.h"

#include "tests/data/support.h"
#include <cmath>

namespace decorr::data {
namespace {

using testing::expect_error;

GaussianOptions options(std::int64_t samples, double correlation, std::uint64_t seed = 1) {
  GaussianOptions result;
  result.samples = samples;
  result.features = 8;
  result.correlation = correlation;
  result.classes = 4;
  result.seed = seed;
  return result;
}

at::Tensor values(const Dataset& dataset) {
  return (dataset.images.flatten(1).to(at::kDouble) - 128) / 32;
}

TEST(Gaussian, HasTheCovarianceItClaims) {
  constexpr std::int64_t kSamples = 20000;
  for (const double rho : {0.0, 0.9}) {
    const at::Tensor x = values(make_gaussian("train", options(kSamples, rho)));
    const at::Tensor covariance = at::mm(x.t(), x) / kSamples;
    for (std::int64_t i = 0; i < 8; ++i) {
      for (std::int64_t j = 0; j < 8; ++j) {
        const double expected = std::pow(rho, std::abs(static_cast<double>(i - j)));
        // Standard error of a product's mean; rounding to 1/32 adds a variance of 1/12/32².
        const double error = std::sqrt((1 + expected * expected) / kSamples);
        EXPECT_NEAR(covariance[i][j].item<double>(), expected, 5 * error + 1e-4);
      }
    }
  }
}

TEST(Gaussian, LabelsAreLinearInTheWhitenedVector) {
  // Without correlation e is x up to rounding: least squares finds the teacher, and most labels.
  const Dataset dataset = make_gaussian("train", options(5000, 0.9));
  at::Tensor x = values(dataset);
  at::Tensor e = x.clone();
  e.narrow(1, 1, 7).copy_((x.narrow(1, 1, 7) - 0.9 * x.narrow(1, 0, 7)) / std::sqrt(1 - 0.81));
  const at::Tensor one_hot =
      at::zeros({5000, 4}, at::kDouble).scatter(1, dataset.labels.unsqueeze(1), 1.0);
  const at::Tensor weights = at::mm(e.t(), one_hot);  // proportional to the teacher, E[eeᵀ] = I
  const double accuracy =
      at::mm(e, weights).argmax(1).eq(dataset.labels).to(at::kDouble).mean().item<double>();
  EXPECT_GT(accuracy, 0.85);
  const at::Tensor counts = at::bincount(dataset.labels, {}, 4);
  EXPECT_GT(counts.min().item<std::int64_t>(), 500);
}

TEST(Gaussian, DependsOnItsSettingsAlone) {
  const Dataset train = make_gaussian("train", options(2500, 0.5));
  EXPECT_EQ(train.images.sizes(), (at::IntArrayRef{2500, 1, 1, 8}));
  EXPECT_NO_THROW(train.validate());
  const Dataset again = make_gaussian("train", options(2500, 0.5));
  EXPECT_TRUE(at::equal(train.images, again.images));
  EXPECT_TRUE(at::equal(train.labels, again.labels));
  EXPECT_FALSE(at::equal(train.images, make_gaussian("train", options(2500, 0.5, 2)).images));
  const Dataset test = make_gaussian("test", options(2500, 0.5));
  EXPECT_EQ(test.size(), 500);
  EXPECT_FALSE(at::equal(test.images, train.images.narrow(0, 0, 500)));
  EXPECT_EQ(make_gaussian("test", options(3, 0.5)).size(), 1);
}

TEST(Gaussian, RefusesSettingsOutOfRange) {
  const auto refuse = [](auto change, const std::vector<std::string>& parts) {
    GaussianOptions bad = options(10, 0.5);
    change(bad);
    expect_error<std::invalid_argument>([&] { make_gaussian("train", bad); }, parts);
  };
  refuse([](auto& o) { o.samples = 0; }, {"samples", "got 0"});
  refuse([](auto& o) { o.features = 0; }, {"features", "got 0"});
  refuse([](auto& o) { o.classes = 1; }, {"classes", "[2, 10000]", "got 1"});
  refuse([](auto& o) { o.correlation = 1; }, {"correlation", "[0, 1)", "got 1"});
}

TEST(Gaussian, IsLoadedWithoutFiles) {
  LoadOptions load_options;
  load_options.gaussian = options(50, 0.5);
  EXPECT_EQ(find("gaussian"), "");
  EXPECT_EQ(load("gaussian", "train", load_options).size(), 50);
  expect_error<std::invalid_argument>([] { find("gaussian", "/data"); },
                                      {"has no files", "/data", "remove data.root"});
}

}  // namespace
}  // namespace decorr::data
