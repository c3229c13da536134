#include "decorr/nn/linear.h"

#include "decorr/linalg/gemm.h"
#include "decorr/nn/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/nn/support.h"
#include <memory>
#include <vector>

namespace decorr::nn {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kIn = 8;
constexpr std::int64_t kOut = 4;
constexpr std::int64_t kFewRows = 4;    // evaluated with an explicit u
constexpr std::int64_t kManyRows = 12;  // more than 2·kOut: evaluated with R folded into W

struct Case {
  std::string method;
  std::string mean;
  bool bias;
  std::int64_t rows;
};

std::ostream& operator<<(std::ostream& stream, const Case& item) {
  return stream << item.method << ", mean = " << item.mean << ", bias = " << item.bias << ", "
                << item.rows << " rows";
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* method : {"norm-preserving", "standardize", "none"})
    for (const char* mean : {"running", "batch"})
      for (const bool bias : {true, false})
        for (const std::int64_t rows : {kFewRows, kManyRows})
          cases.push_back({method, mean, bias, rows});
  return cases;
}

LinearOptions options_of(const Case& item) {
  whitening::DecorrelatorOptions decorrelation;
  decorrelation.update_every = 1;
  decorrelation.method = item.method;
  decorrelation.mean = item.mean;
  decorrelation.lr = 0.1;
  decorrelation.sample_fraction = 1;
  return LinearOptions(kIn, kOut)
      .bias(item.bias)
      .decorrelation(decorrelation)
      .random(RandomStream(7, "test"));
}

void train_step(LinearImpl& layer, std::uint64_t stream) {
  const at::Tensor x = correlated({32, kIn}, stream).to(layer.weight.scalar_type());
  layer.forward(x).tanh().square().mean().backward();
  descend(layer, 0.1);
  update(layer);
}

// A float64 layer after five steps, so that R ≠ I, μ ≠ 0 and (without a bias) bias_offset ≠ 0.
Linear make_layer(const Case& item) {
  Linear layer(options_of(item));
  layer->to(at::kDouble);
  for (std::uint64_t i = 0; i < 5; ++i) train_step(*layer, i);
  return layer;
}

at::Tensor matrix_of(LinearImpl& layer) {
  const at::Tensor matrix = layer.decorrelator()->matrix();
  if (!matrix.defined()) return at::eye(kIn, kFloat64);
  return matrix.dim() == 1 ? at::diag(matrix) : matrix;
}

// y = W·R·(x - μ) + b as it is written, by plain differentiable ATen operations.
at::Tensor naive_forward(LinearImpl& layer, const at::Tensor& x, const at::Tensor& weight,
                         const at::Tensor& bias) {
  at::Tensor centred = x;
  if (layer.decorrelator()->uses_batch_mean()) {
    centred = x - x.mean(0);
  } else if (layer.decorrelator()->active()) {
    centred = x - layer.decorrelator()->running_mean();
  }
  const at::Tensor output =
      at::matmul(centred, at::matmul(weight, matrix_of(layer)).transpose(0, 1));
  return bias.defined() ? output + bias : output;
}

at::Tensor bias_of(LinearImpl& layer) {
  return layer.bias.defined() ? layer.bias : layer.bias_offset;
}

// A scalar whose gradient by the output is neither constant nor zero.
at::Tensor loss_of(const at::Tensor& output) {
  return (output.tanh() * normal(output.sizes(), 55)).sum();
}

// Compares `analytic` with central differences of `loss` in every entry of `value`.
void expect_central_differences(const at::Tensor& value, const at::Tensor& analytic,
                                const std::function<double()>& loss) {
  ASSERT_TRUE(analytic.defined());
  ASSERT_EQ(analytic.sizes(), value.sizes());
  constexpr double kStep = 1e-5;
  double* entries = value.data_ptr<double>();
  const at::Tensor gradient = analytic.contiguous();
  for (std::int64_t i = 0; i < value.numel(); ++i) {
    const double kept = entries[i];
    entries[i] = kept + kStep;
    const double above = loss();
    entries[i] = kept - kStep;
    const double below = loss();
    entries[i] = kept;
    // Truncation is of order step², rounding of order 10⁻¹⁶ / step.
    ASSERT_NEAR(gradient.data_ptr<double>()[i], (above - below) / (2 * kStep), 1e-8)
        << "entry " << i;
  }
}

TEST(Linear, AgreesWithTheFormula) {
  for (const Case& item : all_cases()) {
    SCOPED_TRACE(item);
    Linear layer = make_layer(item);
    const at::Tensor x = correlated({item.rows, kIn}, 9);
    for (const bool training : {true, false}) {
      layer->train(training);
      EXPECT_LE(max_error(layer(x), naive_forward(*layer, x, layer->weight, bias_of(*layer))),
                1e-12);
    }
    if (item.method == "none") continue;
    EXPECT_GT(max_error(matrix_of(*layer), at::eye(kIn, kFloat64)), 0.05);
    EXPECT_GT(layer->decorrelator()->running_mean().abs().min().item<double>(), 0.1);
    if (item.bias) continue;
    EXPECT_FALSE(layer->bias.defined());
    EXPECT_GT(layer->bias_offset.abs().min().item<double>(), 1e-3);
  }
}

TEST(Linear, ChoosesTheEvaluationWithFewerOperations) {
  Linear layer = make_layer({"norm-preserving", "running", true, 0});
  const auto operations = [&](std::int64_t rows, bool input_gradient) {
    const at::Tensor x = correlated({rows, kIn}, 1).set_requires_grad(input_gradient);
    const linalg::FlopCounter counter;
    layer(x).sum().backward();
    return static_cast<std::int64_t>(counter.count());
  };
  constexpr std::int64_t kFolding = 4 * kOut * kIn * kIn;  // W·R and the gradient's way back
  for (const bool input_gradient : {true, false}) {
    const std::int64_t passes = input_gradient ? 2 : 1;
    const auto plain = [&](std::int64_t rows) { return (1 + passes) * 2 * rows * kIn * kOut; };
    EXPECT_EQ(operations(kFewRows, input_gradient),
              plain(kFewRows) + passes * 2 * kFewRows * kIn * kIn);
    EXPECT_EQ(operations(kManyRows, input_gradient), plain(kManyRows) + kFolding);
    // Between m and 2m rows it depends on whether the input's gradient costs an n×n product too.
    constexpr std::int64_t kSome = kOut + 2;
    EXPECT_EQ(operations(kSome, input_gradient),
              plain(kSome) + (input_gradient ? kFolding : 2 * kSome * kIn * kIn));
  }
}

TEST(Linear, TakesInputsOfAnyRank) {
  for (const char* method : {"norm-preserving", "standardize", "none"}) {
    Linear layer = make_layer({method, "running", true, 0});
    for (const std::vector<std::int64_t>& leading :
         std::vector<std::vector<std::int64_t>>{{}, {5}, {2, 3}, {2, 2, 4}}) {
      std::vector<std::int64_t> sizes = leading;
      sizes.push_back(kIn);
      at::Tensor x = normal(sizes, 4).set_requires_grad(true);
      const at::Tensor output = layer(x);
      std::vector<std::int64_t> expected = leading;
      expected.push_back(kOut);
      ASSERT_EQ(output.sizes(), at::IntArrayRef(expected)) << method;
      const at::Tensor rows = x.detach().reshape({-1, kIn});
      EXPECT_LE(max_error(output.reshape({-1, kOut}),
                          naive_forward(*layer, rows, layer->weight, layer->bias)),
                1e-12);
      output.sum().backward();
      const at::Tensor column = at::matmul(layer->weight.detach().sum(0), matrix_of(*layer));
      EXPECT_LE(max_error(x.grad(), column.expand(sizes)), 1e-12) << method;
    }
  }
}

TEST(Linear, TakesStridedInputs) {
  Linear layer = make_layer({"norm-preserving", "running", true, 0});
  const at::Tensor wide = normal({kIn, 2 * kManyRows}, 4);
  for (const at::Tensor& x : {wide.t(), wide.t().slice(0, 0, 2 * kManyRows, 2),
                              normal({3, 2 * kIn}, 5).slice(1, 0, 2 * kIn, 2)})
    EXPECT_LE(max_error(layer(x), layer(x.contiguous())), 1e-12);
}

TEST(Linear, GradientsAgreeWithCentralDifferences) {
  for (const Case& item : all_cases()) {
    SCOPED_TRACE(item);
    Linear layer = make_layer(item);
    const at::Tensor x = correlated({item.rows, kIn}, 9).set_requires_grad(true);
    loss_of(layer(x)).backward();
    const auto loss = [&] {
      const at::NoGradGuard no_grad;
      return loss_of(layer(x)).item<double>();
    };
    expect_central_differences(x, x.grad(), loss);
    expect_central_differences(layer->weight, layer->weight.grad(), loss);
    if (item.bias) expect_central_differences(layer->bias, layer->bias.grad(), loss);
  }
}

TEST(Linear, GradientsEqualThoseOfPlainOperations) {
  for (const Case& item : all_cases())
    for (const bool input_gradient : {true, false}) {
      SCOPED_TRACE(item);
      Linear layer = make_layer(item);
      const at::Tensor x = correlated({item.rows, kIn}, 9).set_requires_grad(input_gradient);
      loss_of(layer(x)).backward();

      const at::Tensor x2 = x.detach().clone().set_requires_grad(input_gradient);
      const at::Tensor weight = layer->weight.detach().clone().set_requires_grad(true);
      const at::Tensor bias = bias_of(*layer).defined()
                                  ? bias_of(*layer).detach().clone().set_requires_grad(item.bias)
                                  : at::Tensor();
      loss_of(naive_forward(*layer, x2, weight, bias)).backward();

      ASSERT_TRUE(layer->weight.grad().defined());
      EXPECT_GT(layer->weight.grad().norm().item<double>(), 0.1);
      EXPECT_LE(max_error(layer->weight.grad(), weight.grad()), 1e-12);
      if (item.bias) {
        EXPECT_LE(max_error(layer->bias.grad(), bias.grad()), 1e-12);
      }
      ASSERT_EQ(x.grad().defined(), input_gradient);
      if (input_gradient) {
        EXPECT_LE(max_error(x.grad(), x2.grad()), 1e-12);
      }
    }
}

TEST(Linear, FrozenParametersGetNoGradient) {
  for (const std::int64_t rows : {kFewRows, kManyRows}) {
    Linear layer = make_layer({"norm-preserving", "running", true, rows});
    layer->weight.set_requires_grad(false);
    layer->bias.set_requires_grad(false);
    const at::Tensor x = correlated({rows, kIn}, 9).set_requires_grad(true);
    loss_of(layer(x)).backward();
    EXPECT_FALSE(layer->weight.grad().defined());
    EXPECT_FALSE(layer->bias.grad().defined());
    const at::Tensor x2 = x.detach().clone().set_requires_grad(true);
    loss_of(naive_forward(*layer, x2, layer->weight, layer->bias)).backward();
    EXPECT_LE(max_error(x.grad(), x2.grad()), 1e-12);
  }
}

TEST(Linear, RefusesASecondDerivative) {
  for (const std::int64_t rows : {kFewRows, kManyRows}) {
    Linear layer = make_layer({"norm-preserving", "running", true, rows});
    const at::Tensor x = correlated({rows, kIn}, 9).set_requires_grad(true);
    const at::Tensor loss = loss_of(layer(x));
    EXPECT_THAT(message_of([&] {
                  torch::autograd::grad({loss}, {x}, {}, /*retain_graph=*/true,
                                        /*create_graph=*/true);
                }),
                HasSubstr("[Linear] a second derivative is not available: call backward() without "
                          "create_graph"));
    EXPECT_NO_THROW(torch::autograd::grad({loss}, {x}));
  }
}

TEST(Linear, Float32IsCloseToFloat64) {
  for (const Case& item : all_cases()) {
    SCOPED_TRACE(item);
    Linear exact = make_layer(item);
    Linear layer(options_of(item));
    copy_state(*exact, *layer);
    const at::Tensor x = correlated({item.rows, kIn}, 9).set_requires_grad(true);
    const at::Tensor x32 = x.detach().to(at::kFloat).set_requires_grad(true);
    const at::Tensor y = exact(x);
    const at::Tensor y32 = layer(x32);
    EXPECT_EQ(y32.scalar_type(), at::kFloat);
    loss_of(y).backward();
    (y32.tanh() * normal(y32.sizes(), 55).to(at::kFloat)).sum().backward();
    const auto close = [](const at::Tensor& actual, const at::Tensor& expected) {
      return max_error(actual.to(at::kDouble), expected) <=
             2e-6 * (1 + expected.abs().max().item<double>());
    };
    EXPECT_TRUE(close(y32, y));
    EXPECT_TRUE(close(layer->weight.grad(), exact->weight.grad()));
    EXPECT_TRUE(close(x32.grad(), x.grad()));
  }
}

TEST(Linear, StartsLikeLibTorchAndReproducibly) {
  const Linear first(LinearOptions(400, 300).random(RandomStream(1, "a")));
  const Linear same(LinearOptions(400, 300).random(RandomStream(1, "a")));
  const Linear other(LinearOptions(400, 300).random(RandomStream(2, "a")));
  EXPECT_EQ(difference(*first, *same), "");
  EXPECT_EQ(difference(*first, *other), "weight");
  // Uniform in ±1/√400: variance 0.05²/3; the mean of squares of 120 000 draws has a relative
  // standard error of √(4/5 / 120 000).
  const at::Tensor weight = first->weight.detach().to(at::kDouble);
  EXPECT_LE(weight.abs().max().item<double>(), 0.05);
  EXPECT_NEAR(weight.square().mean().item<double>() / (0.0025 / 3), 1, 5 * std::sqrt(0.8 / 120000));
  EXPECT_NEAR(weight.mean().item<double>(), 0, 5 * 0.05 / std::sqrt(3.0 * 120000));
}

TEST(Linear, NamesItsState) {
  const auto names = [](const Case& item) {
    std::vector<std::string> result;
    for (const auto& entry : state_of(*Linear(options_of(item)))) result.push_back(entry.first);
    return result;
  };
  using testing::ElementsAre;
  EXPECT_THAT(names({"norm-preserving", "running", true, 0}),
              ElementsAre("weight", "bias", "decorrelator.matrix", "decorrelator.running_mean",
                          "decorrelator.counters"));
  EXPECT_THAT(names({"norm-preserving", "running", false, 0}),
              ElementsAre("weight", "bias_offset", "decorrelator.matrix",
                          "decorrelator.running_mean", "decorrelator.counters"));
  EXPECT_THAT(names({"none", "running", true, 0}), ElementsAre("weight", "bias"));
  EXPECT_THAT(names({"none", "running", false, 0}), ElementsAre("weight"));
}

TEST(Linear, CloneIsIndependent) {
  for (const bool bias : {true, false}) {
    Linear original = make_layer({"norm-preserving", "running", bias, 0});
    const auto copy = std::dynamic_pointer_cast<LinearImpl>(original->clone());
    ASSERT_TRUE(copy);
    EXPECT_EQ(difference(*original, *copy), "");
    const at::Tensor x = correlated({5, kIn}, 9);
    const auto probe = [&x](LinearImpl& layer) {
      layer.eval();
      const at::Tensor output = layer.forward(x).detach();
      layer.train();
      return output;
    };
    const at::Tensor before = probe(*copy);
    EXPECT_TRUE(at::equal(before, probe(*original)));
    const auto kept = make_layer({"norm-preserving", "running", bias, 0});
    train_step(*original, 20);
    EXPECT_NE(difference(*original, *copy), "");
    EXPECT_EQ(difference(*kept, *copy), "");
    EXPECT_TRUE(at::equal(probe(*copy), before));
    // And it goes on as the original did.
    train_step(*copy, 20);
    EXPECT_EQ(difference(*original, *copy), "");
  }
}

TEST(Linear, RestoredStateTakesTheSameNextStep) {
  for (const Case& item : all_cases()) {
    SCOPED_TRACE(item);
    Linear original(options_of(item));
    if (item.rows == kManyRows) original->to(at::kDouble);
    for (std::uint64_t i = 0; i < 3; ++i) train_step(*original, i);
    Linear restored(options_of(item));
    restored->to(original->weight.scalar_type());
    copy_state(*original, *restored);
    for (std::uint64_t i = 3; i < 6; ++i) {
      train_step(*original, i);
      train_step(*restored, i);
    }
    EXPECT_EQ(difference(*original, *restored), "");
  }
}

TEST(Linear, RefusesAnEmptyBatchAndChangesNothing) {
  Linear layer(LinearOptions(8, 4));
  EXPECT_THROW(layer->forward(at::ones({0, 8})), std::invalid_argument);
  EXPECT_THROW(layer->forward(at::ones({3, 0, 8})), std::invalid_argument);
  EXPECT_EQ(layer->decorrelator()->update(layer->readouts()).outcome,
            whitening::UpdateReport::Outcome::kSkipped);
  EXPECT_TRUE(at::equal(layer->decorrelator()->matrix(), at::eye(8)));
}

TEST(Linear, RefusesBadArguments) {
  EXPECT_THAT(message_of([] { Linear(0, 4); }),
              HasSubstr("[Linear] in_features must be at least 1, got 0"));
  EXPECT_THAT(message_of([] { Linear(4, -2); }),
              HasSubstr("[Linear] out_features must be at least 1, got -2"));
  whitening::DecorrelatorOptions bad;
  bad.lr = -1;
  EXPECT_THAT(message_of([&] { Linear(LinearOptions(4, 4).decorrelation(bad)); }),
              HasSubstr("[Decorrelator] lr must be positive, got -1"));

  Linear layer(kIn, kOut);
  EXPECT_THAT(message_of([&] {
                layer(at::zeros({3, 7}));
              }),
              HasSubstr("[Linear] input must be [.., 8], got [3, 7]"));
  EXPECT_THAT(message_of([&] { layer(at::zeros({8, 0})); }), HasSubstr("got [8, 0]"));
  EXPECT_THAT(message_of([&] { layer(at::zeros({})); }), HasSubstr("got []"));
  EXPECT_THAT(message_of([&] {
                layer(at::zeros({3, kIn}, kFloat64));
              }),
              HasSubstr("[Linear] input must be Float on cpu like the weights, got Double on cpu"));
}

// What is kept of an input serves that input alone, as long as it is unchanged.
TEST(Linear, ReadsAKeptInputAgain) {
  for (const std::int64_t rows : {kFewRows, kManyRows}) {
    Linear layer = make_layer({"norm-preserving", "running", true, rows});
    layer->eval();
    const at::NoGradGuard no_grad;
    const at::Tensor x = correlated({rows, kIn}, 9).to(at::kDouble), other = x.clone();
    const at::Tensor error = correlated({rows, kOut}, 10).to(at::kDouble);
    const at::Tensor output = layer->forward(x), changed = layer->forward(x * 2);
    layer->accumulate_gradient(x, error);
    const at::Tensor gradient = layer->weight.grad().clone();
    layer->weight.mutable_grad() = at::Tensor();

    LayerHooks hooks;
    hooks.kept = std::make_shared<KeptRead>();
    hooks.keep = true;
    layer->set_hooks(hooks);
    EXPECT_TRUE(at::equal(layer->forward(x), output));
    hooks.keep = false;
    layer->set_hooks(hooks);
    hooks.kept->read.rows.mul_(3);  // so that one sees where it is used
    EXPECT_FALSE(at::allclose(layer->forward(x), output));
    EXPECT_TRUE(at::equal(layer->forward(other), output));
    layer->accumulate_gradient(x, error);
    EXPECT_LT(max_error(layer->weight.grad(), 3 * gradient), 1e-12);
    x.mul_(2);
    EXPECT_TRUE(at::equal(layer->forward(x), changed));
  }
}

}  // namespace
}  // namespace decorr::nn
