// Blocks, groups and channels of R, and what keeps a layer's function when any rule changes R.
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/whitening/method_support.h"
#include <utility>

namespace decorr::whitening {
namespace {

using Outcome = UpdateReport::Outcome;

DecorrelatorOptions options_for(const std::string& method) {
  DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.lr = 0.02;
  options.sample_fraction = 1;
  options.max_samples = 0;
  options.damping = 0;
  options.refresh_every = 7;
  return options;
}

Decorrelator with_layout(const FeatureLayout& layout, const DecorrelatorOptions& options) {
  Decorrelator decorrelator(layout, options, RandomStream(5, "test"));
  decorrelator->to(at::kDouble);
  return decorrelator;
}

std::vector<std::string> all_rules() {
  std::vector<std::string> methods = decorrelating_methods();
  methods.emplace_back("standardize");
  return methods;
}

// Decorrelators of slices of the features, each with weights of its own, fed one by one.
struct Slices {
  std::vector<Decorrelator> decorrelators;
  std::vector<at::Tensor> weights;

  void add(std::int64_t width, const DecorrelatorOptions& options, const at::Tensor& weight) {
    decorrelators.push_back(make_decorrelator(width, options));
    weights.push_back(weight.clone());
  }

  void feed_all(const at::Tensor& rows) {
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < decorrelators.size(); ++i) {
      const std::int64_t width = decorrelators[i]->features();
      ASSERT_EQ(feed(decorrelators[i], rows.narrow(1, begin, width), {{weights[i], at::Tensor()}})
                    .outcome,
                Outcome::kApplied);
      begin += width;
    }
  }
};

TEST(Structure, BlocksAreSeparateDecorrelatorsOfSlices) {
  const CorrelatedGaussian data(16, 50);
  for (const std::string& method : decorrelating_methods()) {
    SCOPED_TRACE(method);
    DecorrelatorOptions options = options_for(method);
    options.structure = "block(5)";
    Decorrelator whole = make_decorrelator(16, options);
    at::Tensor weight = normal({3, 16}, 1);
    options.structure = "full";
    Slices slices;
    const std::vector<std::int64_t> widths{5, 5, 5, 1};
    for (std::size_t i = 0; i < widths.size(); ++i)
      slices.add(widths[i], options, weight.narrow(1, static_cast<std::int64_t>(5 * i), widths[i]));
    for (std::uint64_t step = 0; step < 20; ++step) {
      const at::Tensor rows = data.sample(64, step) + 1;
      ASSERT_EQ(feed(whole, rows, {{weight, at::Tensor()}}).outcome, Outcome::kApplied);
      slices.feed_all(rows);
    }
    const auto blocks = matrices(*whole);
    ASSERT_EQ(blocks.size(), 4U);
    for (std::size_t i = 0; i < blocks.size(); ++i)
      EXPECT_LE(max_error(blocks[i], slices.decorrelators[i]->matrix()), 1e-10) << i;
    EXPECT_LE(max_error(weight, at::cat(slices.weights, 1)), 1e-10);
    EXPECT_GT(max_error(blocks[0], at::eye(5, kFloat64)), 0.01);
  }
}

TEST(Structure, GroupsAreSeparateDecorrelatorsOfSlices) {
  const CorrelatedGaussian data(12, 50);
  for (const std::string& method : all_rules())
    for (const char* structure : {"full", "block(3)"}) {
      SCOPED_TRACE(method + " " + structure);
      DecorrelatorOptions options = options_for(method);
      options.structure = structure;
      Decorrelator whole = with_layout({12, 3, 1}, options);
      at::Tensor weight = normal({6, 4}, 1);
      Slices slices;
      for (std::int64_t i = 0; i < 3; ++i) slices.add(4, options, weight.narrow(0, 2 * i, 2));
      for (std::uint64_t step = 0; step < 20; ++step) {
        const at::Tensor rows = data.sample(64, step) + 1;
        ASSERT_EQ(feed(whole, rows, {{weight, at::Tensor()}}).outcome, Outcome::kApplied);
        slices.feed_all(rows);
      }
      for (std::int64_t i = 0; i < 3; ++i)
        EXPECT_LE(max_error(whole->group_matrix(i),
                            slices.decorrelators[static_cast<std::size_t>(i)]->matrix()),
                  1e-10);
      EXPECT_LE(max_error(weight, at::cat(slices.weights)), 1e-10);
    }
}

// The noise, and what the covariance rules add in its stead, has λ times the mean variance of all
// features: features without much variance are left alone, whatever block they are in.
TEST(Structure, DampingIsRelativeToTheVarianceOfTheWholeInput) {
  const at::Tensor scales = at::cat({at::full({5}, 10.0, kFloat64), at::full({5}, 0.1, kFloat64)});
  const at::Tensor rows = CorrelatedGaussian(10, 20).sample(500, 1) * scales;
  DecorrelatorOptions options = options_for("zca");
  options.refresh_every = 1;
  options.damping = 0.5;
  options.structure = "block(5)";
  Decorrelator decorrelator = make_decorrelator(10, options);
  ASSERT_EQ(feed(decorrelator, rows).outcome, Outcome::kApplied);
  const at::Tensor x = rows - rows.mean(0);
  const at::Tensor covariance = at::matmul(x.t(), x) / 500;
  const auto blocks = matrices(*decorrelator);
  const auto distance = [&](const at::Tensor& target, std::size_t i) {
    const auto begin = static_cast<std::int64_t>(5 * i);
    const at::Tensor white = at::matmul(
        at::matmul(blocks[i], target.narrow(0, begin, 5).narrow(1, begin, 5)), blocks[i].t());
    return max_error(white / white.diagonal().mean(), at::eye(5, kFloat64));
  };
  for (const std::size_t i : {0, 1}) EXPECT_LE(distance(damped(covariance, 0.5), i), 1e-9) << i;
  // Damped by its own variance the second block would be another.
  const at::Tensor own = damped(covariance.narrow(0, 5, 5).narrow(1, 5, 5), 0.5);
  EXPECT_GT(distance(at::block_diag({own, own}), 1), 0.1);
  EXPECT_LE(max_error(blocks[1], at::eye(5, kFloat64)), 1e-3);
}

TEST(Structure, ChannelsShareAMean) {
  for (const std::string& method : all_rules()) {
    DecorrelatorOptions options = options_for(method);
    options.mean_momentum = 1;
    Decorrelator decorrelator = with_layout({12, 1, 4}, options);
    const at::Tensor rows = normal({64, 12}, 1) + at::arange(12, kFloat64);
    ASSERT_EQ(feed(decorrelator, rows).outcome, Outcome::kApplied);
    EXPECT_LE(
        max_error(decorrelator->running_mean(), rows.view({64, 3, 4}).mean(at::IntArrayRef{0, 2})),
        1e-12)
        << method;
  }
}

TEST(Structure, EveryRuleKeepsTheFunctionOfItsReadouts) {
  constexpr std::int64_t kWidth = 12, kGroups = 2, kFeatures = kWidth * kGroups;
  const CorrelatedGaussian data(kFeatures, 100);
  const at::Tensor probes = data.sample(4 * 20, 999) * 2 + 1;
  for (const std::string& method : all_rules())
    for (const char* structure : {"full", "block(5)"})
      for (const double damping : {0.0, 1.0}) {
        SCOPED_TRACE(method + " " + structure + " damping " + std::to_string(damping));
        DecorrelatorOptions options = options_for(method);
        options.structure = structure;
        options.damping = damping;
        Decorrelator decorrelator = with_layout({kFeatures, kGroups, 1}, options);
        decorrelator->train();
        // Two matrices, and one whose four places read the same features and add up.
        at::Tensor weight = normal({6, kWidth}, 1), bias = normal({6}, 2);
        at::Tensor other = normal({2, kWidth}, 3);
        at::Tensor places = normal({4, 4, kWidth}, 4), places_bias = normal({4}, 5);
        const auto outputs = [&] {
          const at::Tensor u = decorrelator->decorrelated(probes);
          const at::Tensor images = u.view({20, 4, kFeatures});
          std::vector<at::Tensor> parts;
          for (std::int64_t g = 0; g < kGroups; ++g) {
            const at::Tensor own = u.narrow(1, g * kWidth, kWidth);
            parts.push_back(
                (at::matmul(own, weight.narrow(0, 3 * g, 3).t()) + bias.narrow(0, 3 * g, 3))
                    .flatten());
            // Without a bias μ does not matter: only W·R is kept.
            parts.push_back(
                at::matmul(other.narrow(0, g, 1), linalg::dense(decorrelator->group_matrix(g)))
                    .flatten());
            parts.push_back((at::einsum("skn,mkn->sm", {images.narrow(2, g * kWidth, kWidth),
                                                        places.narrow(0, 2 * g, 2)}) +
                             places_bias.narrow(0, 2 * g, 2))
                                .flatten());
          }
          return at::cat(parts);
        };
        const at::Tensor before = outputs();
        int refreshes = 0;
        for (std::uint64_t i = 0; i < 50; ++i) {
          const UpdateReport report =
              feed(decorrelator, data.sample(64, i) + 1 + 0.1 * static_cast<double>(i),
                   {{weight, bias}, {other, at::Tensor()}, {places, places_bias}});
          ASSERT_EQ(report.outcome, Outcome::kApplied) << report.reason;
          refreshes += report.refreshed ? 1 : 0;
        }
        EXPECT_EQ(refreshes, decorrelator->refreshes() ? 7 : 0);
        EXPECT_LE(max_error(outputs(), before), 1e-9 * before.abs().max().item<double>());
        EXPECT_GT(max_error(weight, normal({6, kWidth}, 1)), 0.01) << "W never followed";
        EXPECT_GT(max_error(places, normal({4, 4, kWidth}, 4)), 0.01) << "W never followed";
      }
}

// A gradient of W is δ·uᵀ = δ·(x - μ)ᵀ·Rᵀ: behind the new R it is the one with the new R.
TEST(Structure, RefreshesMoveGradientsAlongAndOtherUpdatesLeaveThem) {
  constexpr std::int64_t kFeatures = 10;
  const CorrelatedGaussian data(kFeatures, 100);
  const at::Tensor outer = at::matmul(normal({3, 8}, 1), data.sample(8, 50));
  for (const std::string& method : all_rules())
    for (const char* structure : {"full", "block(4)"}) {
      SCOPED_TRACE(method + " " + structure);
      DecorrelatorOptions options = options_for(method);
      options.structure = structure;
      options.refresh_every = 3;
      Decorrelator decorrelator = make_decorrelator(kFeatures, options);
      const auto gradient = [&] { return linalg::times_transposed(outer, decorrelator->matrix()); };
      at::Tensor weight = normal({3, kFeatures}, 2);
      const at::Tensor moment = gradient();
      int refreshed = 0;
      for (std::uint64_t i = 0; i < 9; ++i) {
        const at::Tensor before = moment.clone();
        const UpdateReport report =
            feed(decorrelator, data.sample(64, i), {{weight, at::Tensor(), {moment}}});
        ASSERT_EQ(report.outcome, Outcome::kApplied) << report.reason;
        if (report.refreshed) {
          ++refreshed;
          EXPECT_GT(max_error(moment, before), 1e-3);
        } else {
          EXPECT_TRUE(at::equal(moment, before));
        }
        if (decorrelator->refreshes()) {
          EXPECT_LE(max_error(moment, gradient()), 1e-9 * gradient().abs().max().item<double>());
        }
      }
      EXPECT_EQ(refreshed, decorrelator->refreshes() ? 3 : 0);
    }
}

TEST(Structure, RefusesAGradientOfAnotherShape) {
  Decorrelator decorrelator = make_decorrelator(4, {});
  try {
    feed(decorrelator, normal({8, 4}, 1), {{normal({2, 4}, 1), at::Tensor(), {normal({4, 2}, 1)}}});
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("gradient must be [2, 4] like its weight, got "
                                                 "[4, 2]"));
  }
}

// Trains a layer with Adam over one refresh, which is in the last of the three updates.
struct AdamRun {
  explicit AdamRun(const std::string& method, const std::string& moments)
      : layer(make_layer(method, moments)), optimizer(optim::named_parameters(*layer)) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      optimizer.zero_grad();
      layer->forward(CorrelatedGaussian(6, 50).sample(64, i) + 1).square().mean().backward();
      optimizer.step(1e-2);
      before = optimizer.state_dict();
      matrix_before = layer->decorrelator()->matrix().clone();
      const auto updates = update(*layer, optimizer);
      EXPECT_EQ(updates[0].report.outcome, Outcome::kApplied);
      refreshed = updates[0].report.refreshed;
      if (i < 2) {
        EXPECT_FALSE(refreshed);
        EXPECT_TRUE(
            at::equal(optimizer.state_dict().at("weight.exp_avg"), before.at("weight.exp_avg")));
      }
    }
    after = optimizer.state_dict();
    matrix_after = layer->decorrelator()->matrix().clone();
  }

  static nn::Linear make_layer(const std::string& method, const std::string& moments) {
    DecorrelatorOptions options = options_for(method);
    options.refresh_every = 3;
    options.moments = moments;
    nn::Linear result(nn::LinearOptions(6, 4).decorrelation(options));
    result->to(at::kDouble);
    return result;
  }

  bool same(const std::string& key) const { return at::equal(before.at(key), after.at(key)); }

  nn::Linear layer;
  optim::Adam optimizer;
  std::map<std::string, at::Tensor> before, after;
  at::Tensor matrix_before, matrix_after;
  bool refreshed = false;
};

TEST(Structure, ARefreshTransportsAdamsFirstMoment) {
  for (const std::string& method : covariance_methods()) {
    SCOPED_TRACE(method);
    const AdamRun run(method, "transport");
    ASSERT_TRUE(run.refreshed);
    // G·M⁻ᵀ with M = R_old·R_new⁻¹.
    const at::Tensor m = at::matmul(run.matrix_before, at::linalg_inv(run.matrix_after));
    const at::Tensor expected = at::matmul(run.before.at("weight.exp_avg"), at::linalg_inv(m).t());
    EXPECT_LE(max_error(run.after.at("weight.exp_avg"), expected),
              1e-9 * expected.abs().max().item<double>());
    EXPECT_FALSE(run.same("weight.exp_avg"));
    EXPECT_TRUE(run.same("weight.exp_avg_sq"));
    EXPECT_TRUE(run.same("bias.exp_avg"));
  }
}

TEST(Structure, ARefreshKeepsOrResetsMomentsIfAskedTo) {
  for (const std::string& method : covariance_methods()) {
    SCOPED_TRACE(method);
    const AdamRun keep(method, "keep");
    ASSERT_TRUE(keep.refreshed);
    EXPECT_TRUE(keep.same("weight.exp_avg"));
    EXPECT_TRUE(keep.same("weight.exp_avg_sq"));

    const AdamRun reset(method, "reset");
    ASSERT_TRUE(reset.refreshed);
    for (const char* key : {"weight.exp_avg", "weight.exp_avg_sq"}) {
      EXPECT_GT(reset.before.at(key).abs().max().item<double>(), 0) << key;
      EXPECT_EQ(reset.after.at(key).abs().max().item<double>(), 0) << key;
    }
    EXPECT_TRUE(reset.same("bias.exp_avg"));
  }
}

TEST(Structure, RulesOfSmallStepsLeaveAdamsMomentsAlone) {
  for (const char* method : {"norm-preserving", "copi", "dbp", "relative-gradient", "lateral"}) {
    const AdamRun run(method, "reset");
    EXPECT_FALSE(run.refreshed);
    EXPECT_TRUE(run.same("weight.exp_avg")) << method;
    EXPECT_TRUE(run.same("weight.exp_avg_sq")) << method;
  }
}

}  // namespace
}  // namespace decorr::whitening
