// What every method reaches, with every structure of R, in front of dense layers and convolutions,
// on data whose covariance is known.
#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"

#include <gtest/gtest.h>

#include "tests/whitening/method_support.h"
#include <functional>
#include <memory>
#include <ostream>
#include <utility>

namespace decorr::whitening {
namespace {

struct Case {
  std::string method, structure;
  bool convolution;
  double damping;
};

std::ostream& operator<<(std::ostream& stream, const Case& item) {
  return stream << item.method << ", structure " << item.structure
                << (item.convolution ? ", convolution" : ", dense") << ", damping " << item.damping;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const Case& item = info.param;
  return test_name(item.method + "_" + item.structure +
                   (item.convolution ? "_convolution" : "_dense") +
                   (item.damping > 0 ? "_damped" : ""));
}

// A layer in float64 and data for it.
struct Subject {
  std::shared_ptr<torch::nn::Module> layer;
  std::function<void(std::uint64_t)> feed;  // one forward pass
  at::Tensor covariance;                    // of the rows that R sees

  DecorrelatorImpl& decorrelator() const {
    return *nn::decorrelated_layers(*layer)[0].layer->decorrelator();
  }
};

Subject dense(const DecorrelatorOptions& options) {
  constexpr std::int64_t kFeatures = 16;
  nn::Linear layer(nn::LinearOptions(kFeatures, 3).decorrelation(options));
  layer->to(at::kDouble);
  const CorrelatedGaussian data(kFeatures, 100);
  return {layer.ptr(), [=](std::uint64_t i) mutable { layer->forward(data.sample(256, i) + 1); },
          data.covariance()};
}

// White noise w in 4 channels on a periodic grid, mixed across channels and smoothed along rows and
// columns by h = (1, 0.7):  x_c = Σ_d A_cd·(h ⊗ h ∗ w_d). With r the autocorrelation of h,
//
//   E[x_c(p)·x_d(q)] = (A·Aᵀ)_cd · r(p_y - q_y) · r(p_x - q_x)
//
// wherever the periodic padding takes the patch from.
Subject convolution(const DecorrelatorOptions& options) {
  constexpr std::int64_t kChannels = 4, kSize = 8;
  constexpr double kNeighbour = 0.7;
  const at::Tensor mixing =
      at::matmul(std::get<0>(at::linalg_qr(normal({kChannels, kChannels}, 50))) *
                     at::logspace(0, 0.5, kChannels, 10, kFloat64),
                 std::get<0>(at::linalg_qr(normal({kChannels, kChannels}, 51))));
  nn::Conv2dOptions conv(
      torch::nn::Conv2dOptions(kChannels, 3, 2).padding(1).padding_mode(torch::kCircular));
  nn::Conv2d layer(conv.decorrelation(options));
  layer->to(at::kDouble);
  const auto feed = [=](std::uint64_t i) mutable {
    at::Tensor x = normal({16, kChannels, kSize, kSize}, i);
    x = x + kNeighbour * x.roll(1, 2);
    x = x + kNeighbour * x.roll(1, 3);
    x = at::matmul(mixing, x.flatten(2)).view_as(x);
    layer->forward(x + 1);
  };
  const at::Tensor channels = at::matmul(mixing, mixing.t());
  const double variance = 1 + kNeighbour * kNeighbour;
  at::Tensor neighbours = at::full({2, 2}, kNeighbour, kFloat64);
  neighbours.diagonal().fill_(variance);
  const at::Tensor covariance = options.structure == "channel"
                                    ? channels * (variance * variance)
                                    : at::kron(channels, at::kron(neighbours, neighbours));
  return {layer.ptr(), feed, covariance};
}

Subject make_subject(const Case& item, std::int64_t updates) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.method = item.method;
  options.structure = item.structure;
  options.damping = item.damping;
  options.lr = 0.05;
  options.sample_fraction = 1;
  options.max_samples = 64;
  // η falls, so that the fixed point itself is seen and not the noise of the last samples.
  options.schedule.kind = "cosine";
  options.schedule.total = updates;
  options.refresh_every = updates / 10;
  return item.convolution ? convolution(options) : dense(options);
}

void train(const Subject& subject, std::int64_t updates) {
  for (std::int64_t i = 0; i < updates; ++i) {
    subject.feed(1000 + static_cast<std::uint64_t>(i));
    for (const nn::LayerUpdate& item : update(*subject.layer))
      ASSERT_EQ(item.report.outcome, UpdateReport::Outcome::kApplied) << item.report.reason;
  }
}

class MethodMatrix : public testing::TestWithParam<Case> {};

TEST_P(MethodMatrix, TakesTheCorrelationsAway) {
  constexpr std::int64_t kUpdates = 1000;
  const Subject subject = make_subject(GetParam(), kUpdates);
  const at::Tensor target = damped(subject.covariance, GetParam().damping);
  const double before = block_energy(matrices(subject.decorrelator()), target);
  const double bound = GetParam().damping > 0 ? 0.10 : 0.01;
  ASSERT_GT(before, 1.5 * bound) << "the data is not correlated to begin with";
  train(subject, kUpdates);
  const double after = block_energy(matrices(subject.decorrelator()), target);
  RecordProperty("energy_before", std::to_string(before));
  RecordProperty("energy_after", std::to_string(after));
  EXPECT_LT(after, bound) << "from " << before;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const double damping : {0.0, 0.3})
    for (const std::string& method : decorrelating_methods())
      for (const bool conv : {false, true})
        for (const char* structure : {"full", "block(5)", "channel"})
          if (conv || std::string(structure) != "channel")
            cases.push_back({method, structure, conv, damping});
  return cases;
}

// Every method once, every structure and layer, and damping.
std::vector<Case> some_cases() {
  return {{"norm-preserving", "channel", true, 0},
          {"norm-preserving", "block(5)", true, 0.3},
          {"copi", "full", true, 0},
          {"dbp", "block(5)", false, 0},
          {"relative-gradient", "full", false, 0.3},
          {"lateral", "full", false, 0},
          {"zca", "full", true, 0.3},
          {"pca", "channel", true, 0.3},
          {"cholesky", "block(5)", true, 0},
          {"newton-schulz", "block(5)", false, 0.3}};
}

INSTANTIATE_TEST_SUITE_P(Some, MethodMatrix, testing::ValuesIn(some_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Nightly, MethodMatrix, testing::ValuesIn(all_cases()), name_of);

TEST(Methods, StandardizeReachesTheDampedUnitVarianceInDenseLayersAndConvolutions) {
  for (const bool conv : {false, true})
    for (const double damping : {0.0, 0.3}) {
      const Subject subject = make_subject({"standardize", "full", conv, damping}, 400);
      DecorrelatorImpl& decorrelator = subject.decorrelator();
      train(subject, 400);
      const at::Tensor variances = damped(subject.covariance, damping).diagonal();
      const at::Tensor reached = decorrelator.matrix().square() * variances;
      // A running variance of weight m over s rows scatters by √(2/s·m/(2-m)), relative, and for
      // rows from common images by more: as if an image's 64 pixels were but 16. Six standard
      // errors.
      const double rows = conv ? 64 / 4.0 : 64;
      EXPECT_LE((reached - 1).abs().max().item<double>(),
                6 * std::sqrt(2 / rows * decorrelator.options().mean_momentum / 1.9))
          << conv << damping;
      EXPECT_GT(variances.max().item<double>() / variances.min().item<double>(), 2);
    }
}

TEST(Methods, NoneLeavesTheInputAlone) {
  for (const bool conv : {false, true}) {
    const Subject subject = make_subject({"none", "full", conv, 0}, 10);
    subject.feed(1);
    EXPECT_EQ(update(*subject.layer)[0].report.outcome, UpdateReport::Outcome::kNotDue);
    EXPECT_EQ(subject.layer->buffers().size(), 0U);
  }
}

TEST(Methods, ChannelIsFullInADenseLayer) {
  for (const std::string& method : decorrelating_methods()) {
    const Subject channel = make_subject({method, "channel", false, 0.3}, 20);
    const Subject full = make_subject({method, "full", false, 0.3}, 20);
    train(channel, 20);
    train(full, 20);
    EXPECT_TRUE(at::equal(channel.decorrelator().matrix(), full.decorrelator().matrix())) << method;
    EXPECT_GT(max_error(full.decorrelator().matrix(), at::eye(16, kFloat64)), 0.01) << method;
  }
}

}  // namespace
}  // namespace decorr::whitening
