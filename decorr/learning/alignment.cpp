#include "decorr/learning/alignment.h"

#include "decorr/learning/backprop.h"
#include "decorr/nn/scopes.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace decorr::learning {
namespace {

constexpr double kDegrees = 57.29577951308232;  // in a radian

double length(const at::Tensor& tensor) { return tensor.to(at::kDouble).norm().item<double>(); }

double angle(const at::Tensor& a, const at::Tensor& b) {
  const double product = length(a) * length(b);
  if (!(product > 0)) return std::numeric_limits<double>::quiet_NaN();
  const double cosine = (a.to(at::kDouble) * b.to(at::kDouble)).sum().item<double>() / product;
  return kDegrees * std::acos(std::clamp(cosine, -1.0, 1.0));
}

// The gradients of all parameters until the end of the scope.
class KeptGradients {
 public:
  explicit KeptGradients(const torch::nn::Module& module) : parameters_(module.parameters()) {
    for (const at::Tensor& parameter : parameters_) kept_.push_back(parameter.grad());
    clear();
  }
  ~KeptGradients() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].mutable_grad() = kept_[i];
  }
  KeptGradients(const KeptGradients&) = delete;
  KeptGradients& operator=(const KeptGradients&) = delete;

  void clear() {
    for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = at::Tensor();
  }

 private:
  std::vector<at::Tensor> parameters_, kept_;
};

// The gradient that `rule` gives the weights of each layer, zero where it gives none.
std::vector<at::Tensor> gradients(Rule& rule, const std::vector<nn::LocatedLayer>& layers,
                                  KeptGradients& kept, const at::Tensor& input,
                                  const at::Tensor& target) {
  rule.accumulate(input, target);
  std::vector<at::Tensor> result;
  for (const nn::LocatedLayer& located : layers) {
    const at::Tensor& weights = located.layer->weights();
    result.push_back(weights.grad().defined() ? weights.grad() : at::zeros_like(weights));
  }
  kept.clear();
  return result;
}

}  // namespace

std::vector<LayerAlignment> measure_alignment(Rule& rule, Network network, const Loss& loss,
                                              const at::Tensor& input, const at::Tensor& target) {
  const std::vector<nn::LocatedLayer> layers = nn::decorrelated_layers(*network.module);
  const nn::NoStatistics no_statistics(*network.module);
  KeptGradients kept(*network.module);
  const auto state = rule.state_dict();
  nn::ReplayedDraws draws(*network.module);  // the same dropout for both, and for what follows
  const std::vector<at::Tensor> own = gradients(rule, layers, kept, input, target);
  rule.load_state_dict(state);
  Backprop backprop(std::move(network), loss);
  draws.rewind();
  const std::vector<at::Tensor> exact = gradients(backprop, layers, kept, input, target);
  draws.rewind();

  const at::NoGradGuard no_grad;
  std::vector<LayerAlignment> result;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& [path, layer] = layers[i];
    const at::Tensor matrix = rule.feedback(path);
    const double of_feedback =
        matrix.defined() ? angle(layer->from_input(matrix), layer->from_input(layer->weights()))
                         : std::numeric_limits<double>::quiet_NaN();
    result.push_back(
        {path, angle(own[i], exact[i]), length(own[i]) / length(exact[i]), of_feedback});
  }
  return result;
}

}  // namespace decorr::learning
