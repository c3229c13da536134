// How a decorrelated convolution trains: sampling, function preservation, copies of it.
#include "decorr/analysis/correlation.h"
#include "decorr/nn/conv.h"
#include "decorr/nn/update.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include "tests/nn/conv_support.h"
#include <cmath>
#include <limits>
#include <memory>

namespace decorr::nn {
namespace {

using Outcome = whitening::UpdateReport::Outcome;

whitening::DecorrelatorOptions with(const char* method, const char* structure = "full",
                                    const char* pad = "raw", const char* mean = "running") {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.structure = structure;
  options.pad = pad;
  options.mean = mean;
  options.lr = 0.05;
  options.refresh_every = 2;
  return options;
}

template <std::size_t D = 2>
auto make_layer(const torch::nn::ConvOptions<D>& conv,
                const whitening::DecorrelatorOptions& options) {
  std::conditional_t<D == 1, Conv1d, Conv2d> layer(
      ConvOptions<D>(conv).decorrelation(options).random(RandomStream(7, "test")));
  layer->to(at::kDouble);
  return layer;
}

template <typename Layer>
void train_step(Layer& layer, const at::Tensor& x) {
  layer.forward(x).square().mean().backward();
  descend(layer, 0.01);
  update(layer);
}

template <typename Layer>
at::Tensor probe(Layer& layer, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  const bool training = layer.is_training();
  layer.eval();
  const at::Tensor output = layer.forward(x);
  layer.train(training);
  return output;
}

const torch::nn::Conv2dOptions kPadded = torch::nn::Conv2dOptions(4, 6, 3).padding(1);

at::Tensor batch(std::uint64_t stream) { return images({8, 4, 7, 6}, stream); }

// All the rows that the Decorrelator may sample of `x`, with the mean taken away.
at::Tensor centred_patches(const at::Tensor& x, const Looks& looks, bool demeaned) {
  const at::Tensor mean = x.mean({0, 2, 3}).view({1, -1, 1, 1});
  at::Tensor patches = demeaned ? naive_patches(naive_padded(x - mean, looks), looks)
                                : naive_patches(naive_padded(x, looks), looks) - mean;
  patches = patches.flatten(1, 2);
  return patches.transpose(1, 2).reshape({-1, patches.size(1)});
}

// The covariance that `zca` keeps is that of the patches which were sampled.
TEST(Conv2dTraining, SamplesPatchesOfItsInput) {
  for (const auto& item : conv2d_cases())
    for (const char* pad : {"raw", "demeaned"}) {
      SCOPED_TRACE(testing::Message() << item.name << ", " << pad);
      whitening::DecorrelatorOptions options = with("zca", "full", pad);
      options.sample_fraction = 1;
      options.max_samples = 0;
      const std::int64_t groups = item.options.groups();
      const at::Tensor x = images({6, 4, item.looks.size[0], item.looks.size[1]}, 1);
      const at::Tensor rows = centred_patches(x, item.looks, std::string(pad) == "demeaned");
      Conv2d layer = make_layer(item.options, options);
      layer(x);
      ASSERT_EQ(update(*layer).front().report.outcome, Outcome::kApplied);
      const at::Tensor covariance =
          layer->decorrelator()->state().view({groups, -1, rows.size(1) / groups});
      for (std::int64_t i = 0; i < groups; ++i) {
        const at::Tensor part = rows.chunk(groups, 1)[static_cast<std::size_t>(i)];
        EXPECT_LE(max_error(covariance[i], at::matmul(part.t(), part) / rows.size(0)), 1e-10);
      }
      EXPECT_LE(max_error(layer->decorrelator()->running_mean(), x.mean({0, 2, 3})), 1e-12);

      // And no more of them than asked for: s rows leave a covariance of rank s.
      options.max_samples = 3;
      Conv2d few = make_layer(item.options, options);
      few(x);
      ASSERT_EQ(update(*few).front().report.outcome, Outcome::kApplied);
      const std::int64_t width = rows.size(1) / groups;
      EXPECT_EQ(at::linalg_matrix_rank(few->decorrelator()->state().narrow(0, 0, width), 1e-9)
                    .item<std::int64_t>(),
                std::min<std::int64_t>(3, width));
    }
}

TEST(Conv2dTraining, SamplesTheChannelsOfPixels) {
  whitening::DecorrelatorOptions options = with("zca", "channel");
  options.sample_fraction = 1;
  options.max_samples = 0;
  Conv2d layer = make_layer(torch::nn::Conv2dOptions(kPadded).stride(2), options);
  const at::Tensor x = batch(1);
  layer(x);
  update(*layer);
  const at::Tensor pixels = (x - x.mean({0, 2, 3}).view({1, -1, 1, 1})).transpose(0, 1).flatten(1);
  EXPECT_LE(
      max_error(layer->decorrelator()->state(), at::matmul(pixels, pixels.t()) / pixels.size(1)),
      1e-10);
}

template <std::size_t D>
void expect_preserved_function(const ConvCase<D>& item,
                               const whitening::DecorrelatorOptions& options) {
  auto layer = make_layer(item.options, options);
  const auto input = [&](std::uint64_t stream) {
    const at::Tensor x = images({6, 4, item.looks.size[0], item.looks.size[1]}, stream) * 2;
    return D == 1 ? x.squeeze(2) : x;
  };
  const at::Tensor x = input(500);
  const at::Tensor before = probe(*layer, x);
  whitening::Decorrelator& decorrelator = layer->decorrelator();
  const at::Tensor matrix = decorrelator->matrix().clone();
  for (std::uint64_t step = 0; step < 4; ++step) {
    layer->forward(input(step));
    ASSERT_EQ(update(*layer).front().report.outcome, Outcome::kApplied);
  }
  EXPECT_LE(max_error(probe(*layer, x), before), 1e-10 * before.abs().max().item<double>());
  // A channel by itself has nothing to be decorrelated from.
  if (matrix.dim() == 1 || matrix.size(1) > 1) {
    EXPECT_GT(max_error(decorrelator->matrix(), matrix), 1e-3);
  }
  EXPECT_GT(decorrelator->running_mean().abs().min().item<double>(), 0.1);
}

TEST(Conv2dTraining, UpdatesPreserveTheFunction) {
  for (const char* method : {"norm-preserving", "dbp", "zca", "lateral", "standardize"})
    for (const char* structure : {"full", "block(5)", "channel"})
      for (const char* mean : {"running", "batch"}) {
        SCOPED_TRACE(testing::Message() << method << ", " << structure << ", " << mean);
        const auto options = with(method, structure, "raw", mean);
        for (const auto& item : conv2d_cases()) {
          SCOPED_TRACE(item.name);
          expect_preserved_function(item, options);
        }
        for (const auto& item : conv1d_cases()) {
          SCOPED_TRACE(item.name);
          expect_preserved_function(item, options);
        }
      }
}

TEST(Conv2dTraining, UpdatesWithDemeanedPaddingPreserveTheInterior) {
  for (const char* method : {"norm-preserving", "dbp", "zca", "lateral"})
    for (const char* structure : {"full", "channel"}) {
      SCOPED_TRACE(testing::Message() << method << ", " << structure);
      Conv2d layer = make_layer(kPadded, with(method, structure, "demeaned"));
      const at::Tensor before = probe(*layer, batch(500));
      for (std::uint64_t step = 0; step < 4; ++step) {
        layer(batch(step));
        ASSERT_EQ(update(*layer).front().report.outcome, Outcome::kApplied);
      }
      const at::Tensor change = (probe(*layer, batch(500)) - before).abs();
      const auto inside = at::indexing::Slice(1, -1);
      EXPECT_LE(change.index({"...", inside, inside}).max().item<double>(),
                1e-10 * before.abs().max().item<double>());
      // The border cannot follow: what it is padded with has moved.
      EXPECT_GT(change.index({"...", 0}).max().item<double>(), 0.01);
      // Where nothing is zero-padded there is no such border.
      for (const auto& item : conv2d_cases())
        if (std::string(item.looks.mode) != "zeros")
          expect_preserved_function(item, with(method, structure, "demeaned"));
    }
}

TEST(Conv2dTraining, TwoCallsInAStepAreOneBatch) {
  for (const char* pad : {"raw", "demeaned"})
    for (const char* structure : {"full", "channel"}) {
      SCOPED_TRACE(testing::Message() << pad << ", " << structure);
      whitening::DecorrelatorOptions options = with("norm-preserving", structure, pad);
      options.max_samples = 4;  // so that some calls sample padding and others none
      Conv2d whole = make_layer(kPadded, options);
      Conv2d parts = make_layer(kPadded, options);
      for (std::uint64_t step = 0; step < 20; ++step) {
        const at::Tensor x = images({6, 4, 9, 9}, step);
        whole(x).tanh().sum().backward();
        for (const at::Tensor& part : x.split({4, 2})) parts(part).tanh().sum().backward();
        EXPECT_LE(max_error(parts->weight.grad(), whole->weight.grad()), 1e-9);
        descend(*whole, 1e-3);
        descend(*parts, 1e-3);
        ASSERT_EQ(update(*whole).front().report.outcome, Outcome::kApplied);
        ASSERT_EQ(update(*parts).front().report.outcome, Outcome::kApplied);
      }
      EXPECT_LE(max_error(parts->decorrelator()->matrix(), whole->decorrelator()->matrix()), 1e-10);
      EXPECT_LE(
          max_error(parts->decorrelator()->running_mean(), whole->decorrelator()->running_mean()),
          1e-10);
      EXPECT_LE(max_error(parts->weight, whole->weight), 1e-10);
    }
}

TEST(Conv2dTraining, EvaluationChangesNothing) {
  for (const char* mean : {"running", "batch"}) {
    Conv2d layer = make_layer(kPadded, with("norm-preserving", "full", "raw", mean));
    for (std::uint64_t step = 0; step < 3; ++step) train_step(*layer, batch(step));
    const auto before = layer->clone();
    layer->eval();
    const at::Tensor first = layer(batch(9));
    layer(batch(10));
    EXPECT_TRUE(at::equal(layer(batch(9)), first));
    EXPECT_EQ(difference(*layer, *before), "");
    EXPECT_EQ(update(*layer).front().report.reason,
              "no forward pass in training mode since the last update");
  }
}

TEST(Conv2dTraining, EvaluationComesToEqualTrainingWithBatchMeans) {
  whitening::DecorrelatorOptions options = with("norm-preserving", "full", "raw", "batch");
  Conv2d layer = make_layer(kPadded, options);
  const auto gap = [&] {
    const at::Tensor in_training = layer(batch(1));
    return max_error(probe(*layer, batch(1)), in_training);
  };
  layer(batch(1) * 3);  // the first mean is taken over as it is, here a wrong one
  update(*layer);
  const at::Tensor mean = batch(1).mean({0, 2, 3});
  const at::Tensor wrong = layer->decorrelator()->running_mean() - mean;
  EXPECT_GT(gap(), 0.5);
  update(*layer);
  for (int i = 1; i < 200; ++i) {
    layer(batch(1));
    update(*layer);
  }
  const at::Tensor left = layer->decorrelator()->running_mean() - mean;
  EXPECT_LE(max_error(left, wrong * std::pow(0.9, 200)), 1e-13);
  EXPECT_LE(gap(), 1e-7);
}

TEST(Conv2dTraining, CloneIsIndependent) {
  for (const char* structure : {"full", "block(5)", "channel"})
    for (const bool bias : {true, false}) {
      const auto conv = torch::nn::Conv2dOptions(kPadded).groups(2).bias(bias);
      const auto trained = [&] {
        Conv2d layer = make_layer(conv, with("norm-preserving", structure));
        for (std::uint64_t step = 0; step < 3; ++step) train_step(*layer, batch(step));
        return layer;
      };
      Conv2d original = trained();
      const auto copy = std::dynamic_pointer_cast<Conv2dImpl>(original->clone());
      ASSERT_TRUE(copy);
      EXPECT_EQ(difference(*original, *copy), "");
      EXPECT_TRUE(at::equal(probe(*copy, batch(9)), probe(*original, batch(9))));
      train_step(*original, batch(20));
      EXPECT_NE(difference(*original, *copy), "");
      EXPECT_EQ(difference(*trained(), *copy), "");
      // And it goes on as the original did.
      train_step(*copy, batch(20));
      EXPECT_EQ(difference(*original, *copy), "");
    }
}

TEST(Conv2dTraining, RestoredStateTakesTheSameNextStep) {
  for (const char* method : {"norm-preserving", "zca", "lateral", "standardize", "none"})
    for (const bool bias : {true, false}) {
      SCOPED_TRACE(testing::Message() << method << ", bias = " << bias);
      const auto conv = torch::nn::Conv2dOptions(kPadded).bias(bias);
      Conv2d original = make_layer(conv, with(method));
      for (std::uint64_t step = 0; step < 3; ++step) train_step(*original, batch(step));
      Conv2d restored = make_layer(conv, with(method));
      copy_state(*original, *restored);
      for (std::uint64_t step = 3; step < 6; ++step) {
        train_step(*original, batch(step));
        train_step(*restored, batch(step));
      }
      EXPECT_EQ(difference(*original, *restored), "");
    }
}

TEST(Conv2dTraining, Float32FollowsFloat64) {
  for (const char* structure : {"full", "channel"}) {
    Conv2d exact = make_layer(kPadded, with("norm-preserving", structure));
    Conv2d layer = make_layer(kPadded, with("norm-preserving", structure));
    layer->to(at::kFloat);
    copy_state(*exact, *layer);
    for (std::uint64_t step = 0; step < 10; ++step) {
      train_step(*exact, batch(step));
      train_step(*layer, batch(step).to(at::kFloat));
    }
    const at::Tensor y = probe(*exact, batch(9));
    EXPECT_LE(max_error(probe(*layer, batch(9).to(at::kFloat)), y),
              1e-4 * y.abs().max().item<double>());
    EXPECT_LE(max_error(layer->decorrelator()->matrix(), exact->decorrelator()->matrix()), 1e-4);
  }
}

TEST(Conv2dTraining, SkipsInputsThatTeachNothing) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (const char* method : {"norm-preserving", "zca", "lateral"})
    for (const char* pad : {"raw", "demeaned"})
      for (const auto type : {at::kDouble, at::kFloat}) {
        SCOPED_TRACE(testing::Message() << method << ", " << pad << ", " << type);
        Conv2d layer = make_layer(kPadded, with(method, "full", pad));
        layer->to(type);
        for (std::uint64_t step = 0; step < 2; ++step) train_step(*layer, batch(step).to(type));
        const auto refused = [&](const at::Tensor& x) {
          const at::Tensor matrix = layer->decorrelator()->matrix().clone();
          const at::Tensor weight = layer->weight.detach().clone();
          const at::Tensor mean = layer->decorrelator()->running_mean().clone();
          layer(x.to(type));
          return update(*layer).front().report.outcome == Outcome::kSkipped &&
                 at::equal(layer->decorrelator()->matrix(), matrix) &&
                 at::equal(layer->decorrelator()->running_mean(), mean) &&
                 at::equal(layer->weight, weight);
        };
        at::Tensor broken = batch(3);
        broken[0][0][3][3] = kNaN;
        EXPECT_TRUE(refused(broken));
        broken[0][0][3][3] = std::numeric_limits<double>::infinity();
        EXPECT_TRUE(refused(broken));
        // Images of one colour; a border of raw zeros is something to learn from, a demeaned one
        // is not.
        const at::Tensor colour = at::tensor({0.1, 0.7, -0.3, 1.3}, kFloat64).view({1, 4, 1, 1});
        EXPECT_EQ(refused(colour.expand({8, 4, 7, 6})), std::string(pad) == "demeaned");
        EXPECT_TRUE(refused(at::zeros({8, 4, 7, 6})));
      }
}

struct SmallNet : torch::nn::Module {
  explicit SmallNet(Conv2d layer) : conv(register_module("conv", std::move(layer))) {}
  at::Tensor forward(const at::Tensor& x) { return conv(x); }
  Conv2d conv;
};

TEST(Conv2dTraining, MeasureCorrelationSeesThePatches) {
  for (const auto& item : conv2d_cases())
    for (const char* pad : {"raw", "demeaned"}) {
      SCOPED_TRACE(testing::Message() << item.name << ", " << pad);
      const auto model = std::make_shared<SmallNet>(
          make_layer(item.options, with("norm-preserving", "full", pad)));
      const auto input = [&](std::uint64_t stream) {
        return images({40, 4, item.looks.size[0], item.looks.size[1]}, stream);
      };
      for (std::uint64_t step = 0; step < 5; ++step) train_step(*model, input(step));
      const at::Tensor x = input(9);
      const auto result = analysis::measure_correlation(
          *model, x, [&](const at::Tensor& all) { return model->forward(all); });
      ASSERT_EQ(result.size(), 1U);
      EXPECT_EQ(result[0].path, "conv");

      // All patches, as they are and less the layer's mean; there are fewer than it would record.
      whitening::Decorrelator& decorrelator = model->conv->decorrelator();
      const at::Tensor mean = decorrelator->running_mean().view({1, -1, 1, 1});
      const bool demeaned = std::string(pad) == "demeaned";
      at::Tensor u = demeaned ? naive_patches(naive_padded(x - mean, item.looks), item.looks)
                              : naive_patches(naive_padded(x, item.looks), item.looks) - mean;
      u = u.flatten(1, 2).transpose(1, 2).flatten(0, 1);
      const auto energy = [](const at::Tensor& rows) {
        const at::Tensor centred = rows - rows.mean(0);
        const std::int64_t half = rows.size(0) / 2;
        return analysis::off_diagonal_energy(centred.narrow(0, 0, half),
                                             centred.narrow(0, half, half));
      };
      EXPECT_NEAR(result[0].input_energy, energy(u), 1e-9);
      const std::int64_t groups = item.options.groups();
      std::vector<at::Tensor> parts = u.chunk(groups, 1);
      for (std::size_t i = 0; i < parts.size(); ++i)
        parts[i] =
            at::matmul(parts[i], decorrelator->group_matrix(static_cast<std::int64_t>(i)).t());
      EXPECT_NEAR(result[0].energy, energy(at::cat(parts, 1)), 1e-9);
      EXPECT_FALSE(model->conv->recorded_input().defined());
      EXPECT_TRUE(model->is_training());
    }
}

TEST(Conv2dTraining, RecordsSomeThousandPatchesEvenlySpread) {
  for (const char* structure : {"full", "channel"}) {
    Conv2d layer = make_layer(torch::nn::Conv2dOptions(1, 1, 1), with("none", structure));
    layer->record_input(true);
    const at::Tensor x = at::arange(10 * 30 * 30, kFloat64).view({10, 1, 30, 30});
    layer(x);
    const at::Tensor rows = layer->recorded_input();
    ASSERT_EQ(rows.sizes(), (at::IntArrayRef{4096, 1}));
    const at::Tensor steps = rows.diff(1, 0);
    EXPECT_GE(steps.min().item<double>(), 2);  // 9000 / 4096, rounded either way
    EXPECT_LE(steps.max().item<double>(), 3);
    EXPECT_EQ(rows[0].item<double>(), 0);
    EXPECT_GE(rows[4095].item<double>(), 8997);
  }
}

}  // namespace
}  // namespace decorr::nn
