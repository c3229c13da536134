// A decorrelation rule of one's own: written, registered under a name, and used by that name.
//
//   R ← g·(I - η(C - diag C)/c)·R,   C = UᵀU / s,   c = max_i C_ii:
//
// covariances go to zero as in COPI's rule, at a rate that the strongest feature sets (as the
// signal's power does in normalised LMS). The rule says what to take away; the library samples the
// rows, damps, bounds the step, applies the gain g, and lets the weights follow R.
#include "decorr/analysis/correlation.h"
#include "decorr/core/random.h"
#include "decorr/learning/loss.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"
#include "decorr/whitening/rule.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <utility>

namespace {

class NormalizedCopi : public decorr::whitening::LowRankRule {
 public:
  // In factored form, R ← g·(diag(d) - a·UᵀU)·R, which spares the library all n³ work:
  // d = 1 + η·diag(C)/c and a = η/(s·c).
  decorr::whitening::LowRankStep step(const decorr::whitening::Observation& sample,
                                      double eta) const override {
    const at::Tensor variances = sample.u.square().mean(0);
    const double strongest = variances.max().item<double>();
    const auto rows = static_cast<double>(sample.u.size(0));
    return {1 + variances * (eta / strongest), eta / (rows * strongest)};
  }
};

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
  decorr::whitening::register_rule("my-rule", [](const decorr::whitening::DecorrelatorOptions&) {
    return std::make_shared<NormalizedCopi>();
  });
  decorr::whitening::DecorrelatorOptions decorrelation;
  decorrelation.method = "my-rule";
  decorrelation.lr = 0.02;

  const auto [input, target] = make_data(4096);
  decorr::nn::Mlp model(decorr::nn::MlpOptions(/*inputs=*/32, /*hidden=*/{64, 64}, /*outputs=*/4)
                            .decorrelation(decorr::nn::everywhere(decorrelation)));
  decorr::optim::Adam optimizer(decorr::optim::named_parameters(*model));
  const decorr::learning::Loss loss("cross-entropy");

  constexpr std::int64_t kBatch = 256;
  for (int epoch = 0; epoch < 20; ++epoch) {
    double sum = 0;
    for (std::int64_t start = 0; start < input.size(0); start += kBatch) {
      const at::Tensor batch_loss = loss(model->forward(input.slice(0, start, start + kBatch)),
                                         target.slice(0, start, start + kBatch));
      optimizer.zero_grad();
      batch_loss.backward();
      optimizer.step(/*lr=*/1e-3);
      decorr::update(*model, optimizer);
      sum += kBatch * batch_loss.item<double>();
    }
    if (epoch % 5 == 4)
      fmt::print("epoch {}: loss {:.4f}\n", epoch + 1, sum / static_cast<double>(input.size(0)));
  }

  bool fell = true;
  for (const auto& layer : decorr::analysis::measure_correlation(
           *model, input, [&](const at::Tensor& x) { return model->forward(x); })) {
    fmt::print("{}: relative off-diagonal energy {:.3f} before R, {:.3f} behind it\n", layer.path,
               layer.input_energy, layer.energy);
    fell = fell && layer.energy < 0.5 * layer.input_energy;
  }
  return fell ? 0 : 1;
}
