#include "decorr/analysis/correlation.h"

#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/support.h"
#include <cmath>
#include <stdexcept>

namespace decorr::analysis {
namespace {

using nn::kFloat64;
using nn::message_of;
using testing::HasSubstr;

TEST(OffDiagonalEnergy, EqualsTheClosedForm) {
  // Off the diagonal 2·(1 + 4 + 0.25), on it 4 + 9 + 1.
  const at::Tensor c =
      at::tensor({2.0, -1.0, 2.0, -1.0, 3.0, 0.5, 2.0, 0.5, 1.0}, kFloat64).reshape({3, 3});
  EXPECT_DOUBLE_EQ(off_diagonal_energy(c), 10.5 / 14);
  EXPECT_DOUBLE_EQ(off_diagonal_energy(c.to(at::kFloat) * 1000), 10.5 / 14);
  EXPECT_EQ(off_diagonal_energy(at::diag(c.diagonal())), 0);
  EXPECT_TRUE(std::isnan(off_diagonal_energy(at::zeros({3, 3}))));
}

TEST(OffDiagonalEnergy, OfTwoSamplesEqualsTheClosedForm) {
  const at::Tensor first = nn::normal({7, 5}, 1);
  const at::Tensor second = nn::normal({4, 5}, 2);
  const at::Tensor product =
      (at::matmul(first.t(), first) / 7) * (at::matmul(second.t(), second) / 4);
  const double diagonal = product.diagonal().sum().item<double>();
  EXPECT_NEAR(off_diagonal_energy(first, second),
              (product.sum().item<double>() - diagonal) / diagonal, 1e-12);
  EXPECT_NEAR(off_diagonal_energy(first.to(at::kFloat), second.to(at::kFloat)),
              off_diagonal_energy(first, second), 1e-5);
}

TEST(OffDiagonalEnergy, RefusesBadArguments) {
  EXPECT_THAT(message_of([] {
                off_diagonal_energy(at::zeros({3, 4}));
              }),
              HasSubstr("[off_diagonal_energy] expected a square matrix, got [3, 4]"));
  EXPECT_THAT(message_of([] {
                off_diagonal_energy(at::zeros({3, 4}), at::zeros({3, 5}));
              }),
              HasSubstr("expected rows [N1, n] and [N2, n], got [3, 4] and [3, 5]"));
  EXPECT_THAT(message_of([] {
                off_diagonal_energy(at::zeros({3, 4}), at::zeros({0, 4}));
              }),
              HasSubstr("got [3, 4] and [0, 4]"));
}

// Mean and standard error of numbers.
struct Average {
  double sum = 0;
  double squares = 0;
  int count = 0;
  void add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  double mean() const { return sum / count; }
  double standard_error() const {
    return std::sqrt((squares / count - mean() * mean()) / (count - 1));
  }
};

void expect_unbiased(const at::Tensor& covariance_root, std::uint64_t stream) {
  constexpr std::int64_t kRows = 64;
  const at::Tensor truth = at::matmul(covariance_root.t(), covariance_root);
  const double true_energy = off_diagonal_energy(truth);
  const double true_diagonal = truth.diagonal().square().sum().item<double>();
  Average energy, off_diagonal, diagonal, one_sample;
  for (std::uint64_t draw = 0; draw < 4000; ++draw) {
    const at::Tensor z = RandomStream(stream).at(draw).normal({2 * kRows, 16}, kFloat64);
    const at::Tensor rows = at::matmul(z, covariance_root);
    const at::Tensor first = rows.narrow(0, 0, kRows);
    const at::Tensor second = rows.narrow(0, kRows, kRows);
    energy.add(off_diagonal_energy(first, second));
    const double squares = (first.square().mean(0) * second.square().mean(0)).sum().item<double>();
    diagonal.add(squares);
    off_diagonal.add(off_diagonal_energy(first, second) * squares);
    one_sample.add(off_diagonal_energy(at::matmul(first.t(), first) / kRows));
  }
  std::cout << "truth " << true_energy << ", two samples " << energy.mean() << " +- "
            << energy.standard_error() << ", one sample " << one_sample.mean() << std::endl;
  // Numerator and denominator are unbiased each.
  EXPECT_NEAR(diagonal.mean(), true_diagonal, 5 * diagonal.standard_error());
  EXPECT_NEAR(off_diagonal.mean(), true_energy * true_diagonal, 5 * off_diagonal.standard_error());
  EXPECT_NEAR(energy.mean(), true_energy, 5 * energy.standard_error());
  // What the two samples are for: one counts its chance correlations.
  EXPECT_GT(one_sample.mean(), true_energy + 20 * one_sample.standard_error());
}

TEST(OffDiagonalEnergy, OfTwoSamplesIsUnbiasedOnWhiteData) {
  expect_unbiased(at::eye(16, kFloat64), 1);
}

TEST(OffDiagonalEnergy, OfTwoSamplesIsUnbiasedOnCorrelatedData) {
  expect_unbiased(at::eye(16, kFloat64) + nn::normal({16, 16}, 3) * 0.1, 2);
}

nn::Mlp trained_model() {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.lr = 0.05;
  options.damping = 0.01;
  options.sample_fraction = 1;
  const auto plan = [options](const std::string& path) {
    whitening::DecorrelatorOptions chosen = options;
    if (path == "layers.2") chosen.method = "none";
    return chosen;
  };
  nn::Mlp model(nn::MlpOptions(12, {10, 8}, 3).decorrelation(plan).seed(1));
  for (std::uint64_t i = 0; i < 200; ++i) {
    model(nn::correlated({128, 12}, i).to(at::kFloat));
    update(*model);
  }
  return model;
}

TEST(MeasureCorrelation, SeesWhatDecorrelationDid) {
  nn::Mlp model = trained_model();
  const at::Tensor x = nn::correlated({4000, 12}, 999).to(at::kFloat);
  const std::vector<LayerCorrelation> result =
      measure_correlation(*model, x, [&](const at::Tensor& input) { return model(input); });
  ASSERT_EQ(result.size(), 3U);
  const auto layers = nn::decorrelated_layers(*model);
  for (std::size_t i = 0; i < result.size(); ++i) {
    EXPECT_EQ(result[i].path, fmt::format("layers.{}", i));
    EXPECT_EQ(result[i].matrix_norm, layers[i].layer->decorrelator()->matrix_norm());
  }
  // The first layer's input has a known covariance: that of nn::correlated().
  const at::Tensor mixing = at::eye(12, kFloat64) + nn::normal({12, 12}, 1000) * 0.5;
  const at::Tensor covariance = at::matmul(mixing.t(), mixing);
  const at::Tensor r = layers[0].layer->decorrelator()->matrix().to(at::kDouble);
  const double before = off_diagonal_energy(covariance);
  const double after = off_diagonal_energy(at::matmul(at::matmul(r, covariance), r.t()));
  ASSERT_GT(before, 5 * after);
  // Covariances of 2000 rows have relative errors of order 2/√2000.
  EXPECT_NEAR(result[0].input_energy, before, 0.15 * before);
  EXPECT_NEAR(result[0].energy, after, 0.05);
  EXPECT_EQ(result[2].energy, result[2].input_energy);
  EXPECT_EQ(result[2].matrix_norm, 1);
}

TEST(MeasureCorrelation, ChangesNothing) {
  nn::Mlp model = trained_model();
  model(nn::correlated({64, 12}, 7).to(at::kFloat));  // cached for the update below
  nn::Mlp untouched = trained_model();
  untouched(nn::correlated({64, 12}, 7).to(at::kFloat));
  const at::Tensor x = nn::correlated({100, 12}, 999).to(at::kFloat);
  const auto forward = [&](const at::Tensor& input) {
    EXPECT_FALSE(model->is_training());
    EXPECT_FALSE(at::GradMode::is_enabled());
    return model(input);
  };
  measure_correlation(*model, x, forward);
  EXPECT_TRUE(model->is_training());
  EXPECT_EQ(nn::difference(*model, *untouched), "");
  update(*model);
  update(*untouched);
  EXPECT_EQ(nn::difference(*model, *untouched), "");

  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*model)) {
    EXPECT_FALSE(located.layer->recorded_input().defined()) << located.path;
    EXPECT_TRUE(located.layer->decorrelator()->is_training()) << located.path;
  }
  model(x);
  EXPECT_FALSE(nn::decorrelated_layers(*model)[0].layer->recorded_input().defined());
}

TEST(MeasureCorrelation, RestoresTheModeOfEveryPart) {
  nn::Mlp model = trained_model();
  const at::Tensor x = nn::correlated({100, 12}, 999).to(at::kFloat);
  const auto forward = [&](const at::Tensor& input) { return model(input); };
  model->eval();
  measure_correlation(*model, x, forward);
  for (const auto& module : model->modules()) EXPECT_FALSE(module->is_training());

  model->train();
  const auto layers = nn::decorrelated_layers(*model);
  layers[1].layer->decorrelator()->eval();
  measure_correlation(*model, x, forward);
  EXPECT_TRUE(model->is_training());
  EXPECT_TRUE(layers[0].layer->decorrelator()->is_training());
  EXPECT_FALSE(layers[1].layer->decorrelator()->is_training());
}

TEST(MeasureCorrelation, RestoresEverythingWhenForwardThrows) {
  nn::Mlp model = trained_model();
  const at::Tensor x = nn::correlated({100, 12}, 999).to(at::kFloat);
  const auto failing = [&](const at::Tensor& input) -> at::Tensor {
    model(input);
    throw std::runtime_error("no more memory");
  };
  EXPECT_THROW(measure_correlation(*model, x, failing), std::runtime_error);
  EXPECT_TRUE(model->is_training());
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*model))
    EXPECT_FALSE(located.layer->recorded_input().defined()) << located.path;
}

TEST(MeasureCorrelation, RefusesBadArguments) {
  nn::Mlp model = trained_model();
  const auto forward = [&](const at::Tensor& input) { return model(input); };
  EXPECT_THAT(message_of([&] {
                measure_correlation(*model, at::zeros({3, 12}), forward);
              }),
              HasSubstr("[measure_correlation] needs at least 4 rows, got [3, 12]"));
  EXPECT_TRUE(model->is_training());
  EXPECT_THAT(message_of([&] {
                measure_correlation(*model, at::zeros({8, 12}),
                                    [](const at::Tensor& input) { return input; });
              }),
              HasSubstr("`forward` must run every decorrelated layer, \"layers.0\" saw no input"));
}

}  // namespace
}  // namespace decorr::analysis
