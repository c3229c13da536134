#pragma once

#include "decorr/learning/rule.h"
#include "decorr/nn/convnet.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include "tests/nn/support.h"
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace decorr::learning {

using nn::kFloat64;
using nn::max_error;
using nn::message_of;

/// Classes 0 … count - 1 for `size` samples, different for each `stream`.
inline at::Tensor labels(std::int64_t size, std::int64_t count, std::uint64_t stream) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < size; ++i)
    values.push_back(static_cast<std::int64_t>(RandomStream(8, stream).below(
        static_cast<std::uint64_t>(count), static_cast<std::uint64_t>(i))));
  return at::tensor(values, at::kLong);
}

/// The decorrelation called `method`, fast enough that a few updates matter.
inline whitening::DecorrelatorOptions quick(const std::string& method) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = method;
  options.lr = 0.05;
  options.sample_fraction = 1;
  options.refresh_every = 3;
  return options;
}

/// A perceptron 6-8-7-5-4 of smooth units in float64.
inline std::shared_ptr<nn::MlpImpl> small_mlp(const whitening::DecorrelatorOptions& options,
                                              const std::string& activation = "tanh") {
  auto model = std::make_shared<nn::MlpImpl>(nn::MlpOptions(6, {8, 7, 5}, 4)
                                                 .activation(activation)
                                                 .decorrelation(nn::everywhere(options))
                                                 .seed(2));
  model->to(at::kDouble);
  return model;
}

/// A convolutional network for images of 2 x 8 x 6 in float64: two pairs of convolutions with a
/// pooling after each, two dense layers.
inline std::shared_ptr<nn::ConvNetImpl> small_convnet(const whitening::DecorrelatorOptions& options,
                                                      const std::string& activation = "tanh") {
  auto model = std::make_shared<nn::ConvNetImpl>(nn::ConvNetOptions({2, 8, 6}, 4)
                                                     .conv_widths({3, 4, 4, 5})
                                                     .dense_widths({9})
                                                     .activation(activation)
                                                     .decorrelation(nn::everywhere(options))
                                                     .seed(2));
  model->to(at::kDouble);
  return model;
}

/// Correlated inputs for small_mlp() or small_convnet().
inline at::Tensor rows(std::int64_t size, std::uint64_t stream) {
  return nn::correlated({size, 6}, stream);
}
inline at::Tensor pictures(std::int64_t size, std::uint64_t stream) {
  return nn::correlated({size, 2, 8, 6}, stream);
}

/// The gradients of all parameters by name, which are cleared.
inline std::vector<std::pair<std::string, at::Tensor>> take_gradients(torch::nn::Module& module) {
  std::vector<std::pair<std::string, at::Tensor>> result;
  for (auto& item : module.named_parameters()) {
    result.emplace_back(item.key(), item.value().grad());
    item.value().mutable_grad() = at::Tensor();
  }
  return result;
}

/// What small_mlp() computes, written out: u and a of each layer, with noise on a if there is any.
struct NaivePass {
  std::vector<at::Tensor> u, a;
};

inline NaivePass naive_pass(torch::nn::Module& model, const at::Tensor& x,
                            const std::vector<at::Tensor>& noise = {}, bool batch_mean = false) {
  NaivePass pass;
  at::Tensor h = x;
  for (const auto& located : nn::decorrelated_layers(model)) {
    auto& layer = dynamic_cast<nn::LinearImpl&>(*located.layer);
    whitening::Decorrelator& decorrelator = layer.decorrelator();
    at::Tensor u = h;
    if (decorrelator->active())
      u = at::matmul(h - (batch_mean ? h.mean(0) : decorrelator->running_mean()),
                     decorrelator->matrix().t());
    pass.u.push_back(u);
    pass.a.push_back(at::matmul(u, layer.weight.detach().t()) + layer.bias.detach());
    if (!noise.empty()) pass.a.back() = pass.a.back() + noise[pass.a.size() - 1];
    h = at::tanh(pass.a.back());
  }
  return pass;
}

/// ‖a - b‖ / ‖b‖.
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

}  // namespace decorr::learning
