// What a decorrelated convolution computes, against every u formed; its training is in
// conv_training_test.cpp.
#include "decorr/nn/conv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/modules/conv.h>

#include "tests/nn/conv_support.h"
#include <sstream>
#include <type_traits>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Decorrelation {
  const char* method;
  const char* structure;
  const char* pad;
  const char* mean;
};

std::ostream& operator<<(std::ostream& stream, const Decorrelation& item) {
  return stream << item.method << ", structure = " << item.structure << ", pad = " << item.pad
                << ", mean = " << item.mean;
}

std::vector<Decorrelation> decorrelations() {
  std::vector<Decorrelation> all{{"none", "full", "raw", "running"},
                                 {"none", "channel", "demeaned", "batch"},
                                 {"standardize", "full", "raw", "running"},
                                 {"standardize", "channel", "demeaned", "batch"}};
  for (const char* structure : {"full", "block(5)", "channel"})
    for (const char* pad : {"raw", "demeaned"})
      for (const char* mean : {"running", "batch"})
        all.push_back({"norm-preserving", structure, pad, mean});
  return all;
}

template <std::size_t D>
using Layer = std::conditional_t<D == 1, Conv1dImpl, Conv2dImpl>;

template <std::size_t D>
Layer<D> make_layer(const torch::nn::ConvOptions<D>& conv, const Decorrelation& item) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = item.method;
  options.structure = item.structure;
  options.pad = item.pad;
  options.mean = item.mean;
  Layer<D> layer(ConvOptions<D>(conv).decorrelation(options).random(RandomStream(7, "test")));
  layer.to(at::kDouble);
  return layer;
}

// Gives the layer random μ, b (or bias_offset) and R, full within its structure, and returns what
// the layer then does to its input.
template <std::size_t D>
NaiveDecorrelation randomize(Layer<D>& layer) {
  const at::NoGradGuard no_grad;
  at::Tensor offset = layer.bias.defined() ? layer.bias : layer.bias_offset;
  if (offset.defined()) offset.copy_(normal(offset.sizes(), 71));
  NaiveDecorrelation result;
  whitening::Decorrelator& decorrelator = layer.decorrelator();
  if (!decorrelator->active()) return result;

  result.mean = normal({layer.options.conv().in_channels()}, 72) + 2;
  decorrelator->running_mean().copy_(result.mean);
  result.channels_only = decorrelator->options().structure == "channel";
  result.demeaned = decorrelator->options().pad == "demeaned";
  const std::int64_t groups = layer.options.conv().groups();
  const std::int64_t width = decorrelator->features() / groups;
  const std::int64_t size = decorrelator->options().block_size(width);
  for (std::int64_t i = 0; i < groups; ++i) {
    const auto stream = static_cast<std::uint64_t>(80 + i);
    const at::Tensor packed = decorrelator->group_matrix(i);
    if (packed.dim() == 1) {
      packed.copy_(normal({width}, stream));
      result.matrices.push_back(at::diag(packed));
      continue;
    }
    at::Tensor full = at::zeros({width, width}, kFloat64);
    const at::Tensor numbers = normal({width, width}, stream);
    for (std::int64_t begin = 0; begin < width; begin += size) {
      const auto square = at::indexing::Slice(begin, std::min(begin + size, width));
      full.index_put_({square, square}, numbers.index({square, square}));
      const std::int64_t count = std::min(size, width - begin);
      packed.narrow(0, begin, count).narrow(1, 0, count).copy_(full.index({square, square}));
    }
    result.matrices.push_back(full);
  }
  return result;
}

// The input, or the parameter, of a one-dimensional convolution as one of height 1.
template <std::size_t D>
at::Tensor flat(const at::Tensor& tensor) {
  return D == 1 ? tensor.unsqueeze(2) : tensor;
}

template <std::size_t D>
at::Tensor make_input(const ConvCase<D>& item, std::uint64_t stream) {
  const at::Tensor x = images({3, 4, item.looks.size[0], item.looks.size[1]}, stream);
  return (D == 1 ? x.squeeze(2) : x).set_requires_grad(true);
}

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.detach().clone().set_requires_grad(true) : tensor;
}

// A scalar whose gradient by the output is neither constant nor zero.
at::Tensor loss_of(const at::Tensor& output) {
  return ((output * 0.05).tanh() * normal(output.sizes(), 55)).sum();
}

template <std::size_t D>
void expect_outputs_and_gradients_of_the_formula(const ConvCase<D>& item,
                                                 const Decorrelation& decorrelation) {
  Layer<D> layer = make_layer(item.options, decorrelation);
  NaiveDecorrelation naive = randomize<D>(layer);
  const at::Tensor x = make_input(item, 1);
  const at::Tensor offset = layer.bias.defined() ? layer.bias : layer.bias_offset;

  layer.eval();
  const auto formula = [&](const at::Tensor& input, const at::Tensor& weight, const at::Tensor& b) {
    const at::Tensor output = naive_conv(flat<D>(input), item.looks, naive, flat<D>(weight), b);
    return D == 1 ? output.squeeze(2) : output;
  };
  const at::Tensor in_evaluation = formula(x, layer.weight, offset);
  EXPECT_EQ(layer.forward(x).sizes(), in_evaluation.sizes());
  EXPECT_LE(max_error(layer.forward(x), in_evaluation), 1e-10);

  layer.train();
  const at::Tensor output = layer.forward(x);
  loss_of(output).backward();
  const at::Tensor x2 = leaf(x), weight = leaf(layer.weight), bias = leaf(offset);
  if (naive.mean.defined() && std::string(decorrelation.mean) == "batch")
    naive.mean = flat<D>(x2).mean({0, 2, 3});
  const at::Tensor expected = formula(x2, weight, bias);
  loss_of(expected).backward();

  EXPECT_LE(max_error(output, expected), 1e-10);
  EXPECT_LE(max_error(x.grad(), x2.grad()), 1e-10);
  EXPECT_LE(max_error(layer.weight.grad(), weight.grad()), 1e-10);
  EXPECT_GT(x2.grad().abs().max().item<double>(), 1e-3);
  EXPECT_GT(weight.grad().abs().max().item<double>(), 1e-3);
  if (!layer.bias.defined()) return;
  EXPECT_LE(max_error(layer.bias.grad(), bias.grad()), 1e-10);
  EXPECT_GT(bias.grad().abs().max().item<double>(), 1e-3);
}

TEST(Conv2d, EqualsTheFormulaWithItsGradients) {
  for (const auto& item : conv2d_cases())
    for (const Decorrelation& decorrelation : decorrelations()) {
      SCOPED_TRACE(testing::Message() << item.name << "; " << decorrelation);
      expect_outputs_and_gradients_of_the_formula(item, decorrelation);
    }
}

TEST(Conv1d, EqualsTheFormulaWithItsGradients) {
  for (const auto& item : conv1d_cases())
    for (const Decorrelation& decorrelation : decorrelations()) {
      SCOPED_TRACE(testing::Message() << item.name << "; " << decorrelation);
      expect_outputs_and_gradients_of_the_formula(item, decorrelation);
    }
}

template <typename Plain, std::size_t D>
void expect_libtorch(const ConvCase<D>& item, const char* method) {
  SCOPED_TRACE(testing::Message() << item.name << ", " << method);
  Layer<D> layer = make_layer(item.options, {method, "full", "raw", "running"});
  Plain plain(item.options);
  plain.to(at::kDouble);
  copy_state(plain, layer);  // a bias_offset starts as zero
  const at::Tensor x = make_input(item, 1);
  const at::Tensor x2 = leaf(x);
  const at::Tensor output = layer.forward(x);
  const at::Tensor expected = plain.forward(x2);
  ASSERT_EQ(output.sizes(), expected.sizes());
  EXPECT_LE(max_error(output, expected), 1e-12);
  loss_of(output).backward();
  loss_of(expected).backward();
  EXPECT_LE(max_error(x.grad(), x2.grad()), 1e-12);
  EXPECT_LE(max_error(layer.weight.grad(), plain.weight.grad()), 1e-12);
  if (plain.bias.defined()) {
    EXPECT_LE(max_error(layer.bias.grad(), plain.bias.grad()), 1e-12);
  }
}

TEST(Conv2d, EqualsLibTorchsWithoutDecorrelationAndAtTheStart) {
  for (const auto& item : conv2d_cases()) {
    // LibTorch pads the wrong axes there.
    if (item.looks.before != item.looks.after && std::string(item.looks.mode) != "zeros") continue;
    expect_libtorch<torch::nn::Conv2dImpl>(item, "none");
    expect_libtorch<torch::nn::Conv2dImpl>(item, "norm-preserving");
  }
}

TEST(Conv1d, EqualsLibTorchsWithoutDecorrelationAndAtTheStart) {
  for (const auto& item : conv1d_cases()) {
    expect_libtorch<torch::nn::Conv1dImpl>(item, "none");
    expect_libtorch<torch::nn::Conv1dImpl>(item, "norm-preserving");
  }
}

TEST(Conv2d, TakesOneImage) {
  const auto cases = conv2d_cases();
  for (const char* mean : {"running", "batch"}) {
    Conv2dImpl layer = make_layer(cases[2].options, {"norm-preserving", "full", "raw", mean});
    randomize<2>(layer);
    const at::Tensor x = images({1, 4, 5, 6}, 1).squeeze(0).set_requires_grad(true);
    const at::Tensor x2 = leaf(x);
    const at::Tensor output = layer.forward(x);
    const at::Tensor expected = layer.forward(x2.unsqueeze(0));
    ASSERT_EQ(output.sizes(), (at::IntArrayRef{6, 5, 6}));
    EXPECT_TRUE(at::equal(output, expected.squeeze(0)));
    loss_of(output).backward();
    loss_of(expected.squeeze(0)).backward();
    EXPECT_TRUE(at::equal(x.grad(), x2.grad()));
  }
  Conv1dImpl layer(Conv1dOptions(4, 6, 3));
  EXPECT_EQ(layer.forward(at::rand({4, 8})).sizes(), (at::IntArrayRef{6, 6}));
}

TEST(Conv2d, TakesStridedInputs) {
  for (const auto& item : conv2d_cases()) {
    SCOPED_TRACE(item.name);
    Conv2dImpl layer = make_layer(item.options, {"norm-preserving", "full", "raw", "running"});
    randomize<2>(layer);
    const at::Tensor x = make_input(item, 1).detach();
    const at::Tensor expected = layer.forward(x);
    EXPECT_LE(max_error(layer.forward(x.contiguous(at::MemoryFormat::ChannelsLast)), expected),
              1e-12);
    EXPECT_LE(max_error(layer.forward(at::cat({x, x}, 1).narrow(1, 0, 4)), expected), 1e-12);
  }
}

TEST(Conv2d, Float32IsCloseToFloat64) {
  for (const auto& item : conv2d_cases())
    for (const Decorrelation& decorrelation : decorrelations()) {
      SCOPED_TRACE(testing::Message() << item.name << "; " << decorrelation);
      Conv2dImpl exact = make_layer(item.options, decorrelation);
      randomize<2>(exact);
      Conv2dImpl layer = make_layer(item.options, decorrelation);
      layer.to(at::kFloat);
      copy_state(exact, layer);
      const at::Tensor x = make_input(item, 1);
      const at::Tensor x32 = x.detach().to(at::kFloat).set_requires_grad(true);
      const at::Tensor y = exact.forward(x);
      const at::Tensor y32 = layer.forward(x32);
      EXPECT_EQ(y32.scalar_type(), at::kFloat);
      // Gradients of a loss that is linear, so that they do not depend on the rounded output.
      const at::Tensor factors = normal(y.sizes(), 56);
      (y * factors).sum().backward();
      (y32 * factors.to(at::kFloat)).sum().backward();
      const auto close = [](const at::Tensor& actual, const at::Tensor& expected) {
        return max_error(actual.to(at::kDouble), expected) <=
               1e-5 * expected.abs().max().item<double>();
      };
      EXPECT_TRUE(close(y32, y));
      EXPECT_TRUE(close(x32.grad(), x.grad()));
      EXPECT_TRUE(close(layer.weight.grad(), exact.weight.grad()));
    }
}

TEST(Conv2d, FrozenParametersGetNoGradient) {
  for (const auto& item : conv2d_cases()) {
    Conv2dImpl layer = make_layer(item.options, {"norm-preserving", "block(5)", "raw", "running"});
    const NaiveDecorrelation naive = randomize<2>(layer);
    for (at::Tensor& parameter : layer.parameters()) parameter.set_requires_grad(false);
    const at::Tensor x = make_input(item, 1);
    const at::Tensor x2 = leaf(x);
    loss_of(layer.forward(x)).backward();
    const at::Tensor offset = layer.bias.defined() ? layer.bias : layer.bias_offset;
    loss_of(naive_conv(x2, item.looks, naive, layer.weight, offset)).backward();
    EXPECT_FALSE(layer.weight.grad().defined());
    EXPECT_LE(max_error(x.grad(), x2.grad()), 1e-10) << item.name;
  }
}

TEST(Conv2d, RefusesASecondDerivative) {
  const auto refuses = [](auto&& layer, const at::Tensor& x) {
    const at::Tensor loss = loss_of(layer.forward(x));
    const auto gradient = [&](bool create_graph) {
      torch::autograd::grad({loss}, {layer.weight}, {}, /*retain_graph=*/true, create_graph);
    };
    EXPECT_NO_THROW(gradient(false));
    return message_of([&] { gradient(true); });
  };
  const std::string message =
      " a second derivative is not available: call backward() without create_graph";
  EXPECT_THAT(refuses(Conv2dImpl(Conv2dOptions(4, 6, 3)), at::rand({2, 4, 5, 5})),
              HasSubstr("[Conv2d]" + message));
  EXPECT_THAT(refuses(Conv1dImpl(Conv1dOptions(4, 6, 3)), at::rand({2, 4, 5})),
              HasSubstr("[Conv1d]" + message));
}

TEST(Conv2d, StartsLikeLibTorchAndReproducibly) {
  const auto make = [](std::uint64_t seed) {
    return Conv2d(Conv2dOptions(torch::nn::Conv2dOptions(32, 400, 5).groups(2))
                      .random(RandomStream(seed, "a")));
  };
  const Conv2d first = make(1);
  EXPECT_EQ(difference(*first, *make(1)), "");
  EXPECT_EQ(difference(*first, *make(2)), "weight");
  // Uniform in ±1/√(16·25): variance 0.05²/3; the mean of squares of 160 000 draws has a relative
  // standard error of √(4/5 / 160 000).
  const at::Tensor weight = first->weight.detach().to(at::kDouble);
  EXPECT_LE(weight.abs().max().item<double>(), 0.05);
  EXPECT_NEAR(weight.square().mean().item<double>() / (0.0025 / 3), 1, 5 * std::sqrt(0.8 / 160000));
  EXPECT_LE(first->bias.abs().max().item<double>(), 0.05);
  EXPECT_GT(first->bias.abs().max().item<double>(), 0.04);
}

TEST(Conv2d, NamesItsState) {
  const auto names = [](const char* method, bool bias) {
    const torch::nn::Conv2dOptions conv = torch::nn::Conv2dOptions(4, 6, 3).bias(bias);
    std::vector<std::string> result;
    for (const auto& entry : state_of(make_layer(conv, {method, "full", "raw", "running"})))
      result.push_back(entry.first);
    return result;
  };
  EXPECT_THAT(names("norm-preserving", true),
              ElementsAre("weight", "bias", "decorrelator.matrix", "decorrelator.running_mean",
                          "decorrelator.counters"));
  EXPECT_THAT(names("norm-preserving", false),
              ElementsAre("weight", "bias_offset", "decorrelator.matrix",
                          "decorrelator.running_mean", "decorrelator.counters"));
  EXPECT_THAT(names("none", true), ElementsAre("weight", "bias"));
  EXPECT_THAT(names("none", false), ElementsAre("weight"));
}

TEST(Conv2d, RefusesBadOptions) {
  using Options = torch::nn::Conv2dOptions;
  const auto message = [](const Conv2dOptions& options) {
    return message_of([&] { Conv2dImpl{options}; });
  };
  EXPECT_EQ(message(Conv2dOptions(0, 6, 3)),
            "[Conv2d] channels must be at least 1, got 0 in and 6 out");
  EXPECT_EQ(message(Conv2dOptions(4, -1, 3)),
            "[Conv2d] channels must be at least 1, got 4 in and -1 out");
  EXPECT_EQ(message(Options(4, 6, 3).groups(4)),
            "[Conv2d] groups must divide the channels, got 4 for 4 in and 6 out");
  EXPECT_EQ(message(Options(4, 6, 3).groups(0)),
            "[Conv2d] groups must divide the channels, got 0 for 4 in and 6 out");
  EXPECT_EQ(message(Options(4, 6, {0, 3})), "[Conv2d] kernel_size must be at least 1, got [0, 3]");
  EXPECT_EQ(message(Options(4, 6, 3).padding(torch::kSame).stride(2)),
            "[Conv2d] stride must be 1 with padding \"same\", got [2, 2]");
  EXPECT_EQ(message_of([] { Conv1dImpl{torch::nn::Conv1dOptions(4, 6, 3).dilation(0)}; }),
            "[Conv1d] dilation must be at least 1, got [0]");
  whitening::DecorrelatorOptions bad;
  bad.lr = -1;
  EXPECT_EQ(message(Conv2dOptions(4, 6, 3).decorrelation(bad)),
            "[Conv2d] [Decorrelator] lr must be positive, got -1");
}

TEST(Conv2d, RefusesBadInputsAndCachesNothingOfThem) {
  Conv2dImpl layer(torch::nn::Conv2dOptions(4, 6, 3).padding(3).padding_mode(torch::kReflect));
  const auto message = [&](const at::Tensor& x) { return message_of([&] { layer.forward(x); }); };
  EXPECT_EQ(message(at::ones({2, 3, 5, 5})),
            "[Conv2d] input must be [N, 4, H, W], got [2, 3, 5, 5]");
  EXPECT_EQ(message(at::ones({2, 4})), "[Conv2d] input must be [N, 4, H, W], got [2, 4]");
  EXPECT_EQ(message(at::ones({})), "[Conv2d] input must be [N, 4, H, W], got []");
  EXPECT_EQ(message(at::ones({0, 4, 5, 5})), "[Conv2d] input must not be empty, got [0, 4, 5, 5]");
  EXPECT_EQ(message(at::ones({2, 4, 0, 5})), "[Conv2d] input must not be empty, got [2, 4, 0, 5]");
  EXPECT_EQ(message(at::ones({2, 4, 5, 5}, kFloat64)),
            "[Conv2d] input must be Float on cpu like the weights, got Double on cpu");
  EXPECT_EQ(
      message(at::ones({2, 4, 5, 3})),
      "[Conv2d] input must be larger than its reflect padding, [3, 3] and [3, 3], got [5, 3]");
  EXPECT_EQ(layer.decorrelator()->update(layer.readouts()).reason,
            "no forward pass in training mode since the last update");

  Conv1dImpl narrow(torch::nn::Conv1dOptions(4, 6, 3));
  EXPECT_EQ(message_of([&] {
              narrow.forward(at::ones({2, 3, 5}));
            }),
            "[Conv1d] input must be [N, 4, L], got [2, 3, 5]");
  EXPECT_THAT(message_of([&] {
                narrow.forward(at::ones({2, 4, 2}));
              }),
              HasSubstr("[Conv1d] input must not be smaller, with padding, than the kernel [3]"));
}

TEST(Conv2d, PrintsItself) {
  std::ostringstream stream;
  stream << Conv2d(torch::nn::Conv2dOptions(4, 6, {3, 2}).groups(2).bias(false));
  EXPECT_THAT(stream.str(), HasSubstr("decorr::nn::Conv2d(4, 6, kernel_size=[3, 2], "
                                      "stride=[1, 1], groups=2, bias=false)"));
}

}  // namespace
}  // namespace decorr::nn
