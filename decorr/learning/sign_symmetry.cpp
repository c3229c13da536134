#include "decorr/learning/sign_symmetry.h"

#include "decorr/core/random.h"
#include "decorr/learning/feedback.h"

#include <ATen/ATen.h>

#include <utility>

namespace decorr::learning {

SignSymmetry::SignSymmetry(Network network, Loss loss, const RuleOptions& options,
                           const at::Tensor& example)
    : network_(std::move(network)),
      loss_(std::move(loss)),
      redraws_(options.magnitude == "batch"),
      random_(options.seed, "magnitude"),
      batches_(at::zeros({}, at::kLong)) {
  options.validate();
  check_error_path(network_, "sign-symmetry");
  layers_ = trace_layers(network_, example, "sign-symmetry");
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const at::Tensor& weights = layers_[i].layer->weights();
    const double scale = options.feedback_scale * root_mean_square(weights);
    at::Tensor magnitude;
    if (!layers_[i].reads_data)
      magnitude =
          options.magnitude == "fixed"
              ? random_matrix(weights.sizes(), weights, "uniform", scale, random_.at(i)).abs_()
              : at::full({}, scale, weights.options().requires_grad(false));
    magnitudes_.push_back(magnitude);
  }
}

at::Tensor SignSymmetry::matrix(std::size_t index) const {
  const at::NoGradGuard no_grad;
  const at::Tensor& magnitude = magnitudes_[index];
  if (!magnitude.defined()) return {};
  const at::Tensor& weights = layers_[index].layer->weights();
  if (!redraws_) return at::sign(weights).mul_(magnitude);
  const RandomStream draw = random_.at(static_cast<std::uint64_t>(batches_.item<std::int64_t>()));
  return random_matrix(weights.sizes(), weights, "uniform", magnitude.item<double>(),
                       draw.at(index))
      .abs_()
      .mul_(at::sign(weights));
}

BatchResult SignSymmetry::accumulate(const at::Tensor& input, const at::Tensor& target,
                                     double weight) {
  std::vector<at::Tensor> matrices;
  for (std::size_t i = 0; i < layers_.size(); ++i) matrices.push_back(matrix(i));
  const BatchResult result = accumulate_through(matrices, layers_, network_, loss_, input, target,
                                                weight, "sign-symmetry");
  batches_.add_(1);
  return result;
}

at::Tensor SignSymmetry::feedback(const std::string& path) const {
  const std::size_t index = index_of(layers_, path);
  return index < layers_.size() ? matrix(index) : at::Tensor();
}

std::map<std::string, at::Tensor> SignSymmetry::state() const {
  std::map<std::string, at::Tensor> result = by_path(layers_, magnitudes_, "magnitude");
  result.emplace("batches", batches_);
  return result;
}

}  // namespace decorr::learning
