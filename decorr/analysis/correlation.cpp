#include "decorr/analysis/correlation.h"

#include "decorr/core/check.h"
#include "decorr/linalg/gemm.h"
#include "decorr/nn/scopes.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include <memory>
#include <utility>

namespace decorr::analysis {
namespace {

// Records layer inputs until the end of the scope, however that comes.
class RecordedInputs {
 public:
  explicit RecordedInputs(const std::vector<nn::LocatedLayer>& layers) : layers_(layers) {
    for (const auto& located : layers_) located.layer->record_input(true);
  }
  ~RecordedInputs() {
    for (const auto& located : layers_) located.layer->record_input(false);
  }
  RecordedInputs(const RecordedInputs&) = delete;
  RecordedInputs& operator=(const RecordedInputs&) = delete;

 private:
  const std::vector<nn::LocatedLayer>& layers_;
};

double split_energy(const at::Tensor& rows) {
  const std::int64_t half = rows.size(0) / 2;
  const at::Tensor centred = rows - rows.mean(0);
  return off_diagonal_energy(centred.narrow(0, 0, half), centred.narrow(0, half, half));
}

}  // namespace

double off_diagonal_energy(const at::Tensor& c) {
  check_argument(c.dim() == 2 && c.size(0) == c.size(1),
                 "[off_diagonal_energy] expected a square matrix, got [{}]",
                 fmt::join(c.sizes(), ", "));
  const at::Tensor squares = c.to(at::kDouble).square();
  const double diagonal = squares.diagonal().sum().item<double>();
  return (squares.sum().item<double>() - diagonal) / diagonal;
}

double off_diagonal_energy(const at::Tensor& first, const at::Tensor& second) {
  check_argument(first.dim() == 2 && second.dim() == 2 && first.size(1) == second.size(1) &&
                     first.size(0) > 0 && second.size(0) > 0,
                 "[off_diagonal_energy] expected rows [N1, n] and [N2, n], got [{}] and [{}]",
                 fmt::join(first.sizes(), ", "), fmt::join(second.sizes(), ", "));
  const auto pairs = static_cast<double>(first.size(0) * second.size(0));
  const at::Tensor products = linalg::gemm(first, second.t()).to(at::kDouble);
  const double total = products.square().sum().item<double>() / pairs;
  const double diagonal =
      (first.square().mean(0).to(at::kDouble) * second.square().mean(0).to(at::kDouble))
          .sum()
          .item<double>();
  return (total - diagonal) / diagonal;
}

std::vector<LayerCorrelation> measure_correlation(
    torch::nn::Module& model, const at::Tensor& input,
    const std::function<at::Tensor(const at::Tensor&)>& forward) {
  check_argument(input.dim() >= 1 && input.size(0) >= 4,
                 "[measure_correlation] needs at least 4 rows, got [{}]",
                 fmt::join(input.sizes(), ", "));
  const at::NoGradGuard no_grad;
  const std::vector<nn::LocatedLayer> layers = nn::decorrelated_layers(model);
  const nn::EvaluationMode evaluation(model);
  const RecordedInputs recording(layers);
  forward(input);

  std::vector<LayerCorrelation> result;
  for (const auto& [path, layer] : layers) {
    whitening::Decorrelator& decorrelator = layer->decorrelator();
    const at::Tensor x = layer->recorded_input();
    check_argument(x.defined(),
                   "[measure_correlation] `forward` must run every decorrelated layer,"
                   " \"{}\" saw no input",
                   path);
    const double input_energy = split_energy(x);
    const double energy =
        decorrelator->active() ? split_energy(decorrelator->decorrelated(x)) : input_energy;
    result.push_back({path, input_energy, energy, decorrelator->matrix_norm()});
  }
  return result;
}

}  // namespace decorr::analysis
