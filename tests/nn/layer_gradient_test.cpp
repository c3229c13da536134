// Gradients of layers without autograd, and their feedback path, beside autograd's.
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/conv_support.h"
#include <vector>

namespace decorr::nn {
namespace {

using testing::HasSubstr;

std::vector<whitening::DecorrelatorOptions> decorrelations() {
  std::vector<whitening::DecorrelatorOptions> all;
  const auto add = [&](const char* method, const char* structure, const char* pad,
                       const char* mean) {
    whitening::DecorrelatorOptions options;
    options.update_every = 1;
    options.method = method;
    options.structure = structure;
    options.pad = pad;
    options.mean = mean;
    options.lr = 0.05;
    all.push_back(options);
  };
  add("none", "full", "raw", "running");
  add("norm-preserving", "full", "raw", "running");
  add("norm-preserving", "channel", "demeaned", "running");
  add("copi", "block(3)", "raw", "batch");
  add("standardize", "full", "demeaned", "batch");
  return all;
}

// What autograd and accumulate_gradient() give a layer for the error `error` of its output agree,
// with all parameters, without the bias and without the weight.
template <typename Layer>
void expect_same_gradients(Layer& layer, const at::Tensor& x, const at::Tensor& error) {
  const auto gradients = [&](const auto& accumulate) {
    for (at::Tensor& parameter : layer.parameters()) parameter.mutable_grad() = at::Tensor();
    accumulate();
    std::vector<at::Tensor> result;
    for (const at::Tensor& parameter : layer.parameters()) result.push_back(parameter.grad());
    return result;
  };
  for (const char* frozen : {"nothing", "weight", "bias"}) {
    for (auto& item : layer.named_parameters())
      item.value().set_requires_grad(item.key() != frozen);
    if (layer.named_parameters().size() == 1 && !layer.weight.requires_grad()) continue;
    const auto expected = gradients([&] { (layer.forward(x) * error).sum().backward(); });
    const auto actual = gradients([&] { layer.accumulate_gradient(x, error); });
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(actual[i].defined(), expected[i].defined()) << i << ", frozen " << frozen;
      if (!expected[i].defined()) continue;
      const double scale = expected[i].norm().template item<double>();
      EXPECT_LE(max_error(actual[i], expected[i]), 1e-12 * scale) << i << ", frozen " << frozen;
    }
  }
  for (auto& item : layer.named_parameters()) item.value().set_requires_grad(true);
}

template <typename Layer>
void settle(Layer& layer, const at::Tensor& x) {
  for (int i = 0; i < 2; ++i) {
    layer.forward(x);
    update(layer);
  }
}

template <std::size_t D, typename Cases>
void expect_convolutions(const Cases& cases) {
  for (const auto& item : cases)
    for (const auto& options : decorrelations()) {
      SCOPED_TRACE(testing::Message() << item.name << ", " << options.method << ", "
                                      << options.structure << ", " << options.mean);
      std::conditional_t<D == 1, Conv1d, Conv2d> layer(
          ConvOptions<D>(item.options).decorrelation(options).random(RandomStream(7, "test")));
      layer->to(at::kDouble);
      at::Tensor x = images({5, 4, item.looks.size[0], item.looks.size[1]}, 1);
      if (D == 1) x = x.squeeze(2);
      settle(*layer, x);
      const at::Tensor error = normal(layer->forward(x).sizes(), 2);
      expect_same_gradients(*layer, x, error);
      expect_same_gradients(*layer, x[0], error[0]);
      layer->eval();
      expect_same_gradients(*layer, x, error);

      // Through B = W the error takes the same way as through the weights, and twice as much
      // through B = 2W.
      layer->train();
      const auto received = [&](double scale) {
        if (scale > 0) layer->set_hooks({{}, {}, layer->weight.detach() * scale});
        const at::Tensor leaf = x.clone().set_requires_grad(true);
        (layer->forward(leaf) * error).sum().backward();
        layer->set_hooks({});
        return leaf.grad();
      };
      const at::Tensor exact = received(0);
      EXPECT_LE(max_error(received(1), exact), 1e-12);
      EXPECT_LE(max_error(received(2), 2 * exact), 1e-12);
    }
}

TEST(LayerGradient, OfConv2dEqualsAutograds) { expect_convolutions<2>(conv2d_cases()); }

TEST(LayerGradient, OfConv1dEqualsAutograds) { expect_convolutions<1>(conv1d_cases()); }

TEST(LayerGradient, OfLinearEqualsAutograds) {
  for (const auto& options : decorrelations())
    for (const bool bias : {true, false})
      for (const std::int64_t outputs : {3, 40}) {  // R folded, and not
        SCOPED_TRACE(testing::Message() << options.method << ", " << bias << ", " << outputs);
        Linear layer(LinearOptions(7, outputs)
                         .bias(bias)
                         .decorrelation(options)
                         .random(RandomStream(7, "test")));
        layer->to(at::kDouble);
        const at::Tensor x = correlated({4, 5, 7}, 1);
        settle(*layer, x);
        expect_same_gradients(*layer, x, normal({4, 5, outputs}, 2));
        expect_same_gradients(*layer, x.transpose(0, 1), normal({5, 4, outputs}, 2));
        layer->eval();
        expect_same_gradients(*layer, x, normal({4, 5, outputs}, 2));
      }
}

TEST(LayerGradient, RefusesErrorsOfAnotherSize) {
  Linear linear(LinearOptions(7, 3).path("layers.0"));
  const auto message = [](const auto& action) { return message_of(action); };
  EXPECT_THAT(message([&] {
                linear->accumulate_gradient(at::ones({2, 7}), at::ones({2, 4}));
              }),
              HasSubstr("[Linear layers.0] the error must be [.., 3] like the output, got [2, 4]"));
  Conv2d conv(Conv2dOptions(2, 3, 3));
  EXPECT_THAT(message([&] {
                conv->accumulate_gradient(at::ones({2, 2, 5, 5}), at::ones({2, 3, 5, 5}));
              }),
              HasSubstr("the error must be [2, 3, 3, 3] like the output, got [2, 3, 5, 5]"));
}

}  // namespace
}  // namespace decorr::nn
