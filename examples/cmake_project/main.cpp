// Trains a decorrelated multilayer perceptron on made-up data with strongly correlated inputs.
#include "decorr/core/random.h"
#include "decorr/learning/loss.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cstdint>
#include <utility>

namespace {

// Inputs [count, 32] that are mixtures of a few common sources, and classes that depend on them.
std::pair<at::Tensor, at::Tensor> make_data(std::int64_t count) {
  const decorr::RandomStream random(1, "data");
  const at::Tensor sources = random.at(0).normal({count, 8}, at::kFloat);
  const at::Tensor mixing = random.at(1).normal({8, 32}, at::kFloat);
  const at::Tensor noise = random.at(2).normal({count, 32}, at::kFloat);
  const at::Tensor input = at::matmul(sources, mixing) + 0.1 * noise;
  return {input, sources.slice(1, 0, 4).argmax(1)};
}

}  // namespace

int main() {
  const auto [input, target] = make_data(4096);

  // Every layer gets the default decorrelation; `.decorrelation(...)` of the options changes that.
  decorr::nn::Mlp model(decorr::nn::MlpOptions(/*inputs=*/32, /*hidden=*/{64, 64}, /*outputs=*/4));
  decorr::optim::Adam optimizer(decorr::optim::named_parameters(*model));
  const decorr::learning::Loss loss("cross-entropy");

  constexpr std::int64_t kBatch = 256;
  double first = 0;
  double last = 0;
  for (int epoch = 0; epoch < 5; ++epoch) {
    double sum = 0;
    for (std::int64_t start = 0; start < input.size(0); start += kBatch) {
      const at::Tensor batch_loss = loss(model->forward(input.slice(0, start, start + kBatch)),
                                         target.slice(0, start, start + kBatch));
      optimizer.zero_grad();
      batch_loss.backward();
      optimizer.step(/*lr=*/1e-3);
      decorr::update(*model);  // R, the means, and W and b with them
      sum += kBatch * batch_loss.item<double>();
    }
    last = sum / static_cast<double>(input.size(0));
    if (epoch == 0) first = last;
    fmt::print("epoch {}: loss {:.4f}\n", epoch + 1, last);
  }
  return last < 0.5 * first ? 0 : 1;
}
