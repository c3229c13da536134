#include "decorr/learning/feedback_alignment.h"

#include "decorr/core/random.h"
#include "decorr/learning/feedback.h"

#include <ATen/ATen.h>

#include <utility>

namespace decorr::learning {

FeedbackAlignment::FeedbackAlignment(Network network, Loss loss, const RuleOptions& options,
                                     const at::Tensor& example, const std::string& name)
    : network_(std::move(network)), loss_(std::move(loss)), name_(name) {
  options.validate();
  check_error_path(network_, name_);
  layers_ = trace_layers(network_, example, name_);
  const RandomStream random(options.seed, "feedback");
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const at::Tensor& weights = layers_[i].layer->weights();
    at::Tensor matrix;
    if (!layers_[i].reads_data) {
      matrix =
          options.feedback_init == "weights"
              ? weights.detach() * options.feedback_scale
              : random_matrix(weights.sizes(), weights, options.feedback_init,
                              options.feedback_scale * root_mean_square(weights), random.at(i));
      if (options.feedback_space == "input") layers_[i].layer->add_companion(matrix);
    }
    matrices_.push_back(matrix);
  }
}

FeedbackAlignment::~FeedbackAlignment() {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (matrices_[i].defined()) layers_[i].layer->remove_companion(matrices_[i]);
}

BatchResult FeedbackAlignment::accumulate(const at::Tensor& input, const at::Tensor& target,
                                          double weight) {
  return accumulate_through(matrices_, layers_, network_, loss_, input, target, weight, name_);
}

at::Tensor FeedbackAlignment::feedback(const std::string& path) const {
  const std::size_t index = index_of(layers_, path);
  return index < layers_.size() ? matrices_[index] : at::Tensor();
}

std::map<std::string, at::Tensor> FeedbackAlignment::state() const {
  return by_path(layers_, matrices_, "feedback");
}

}  // namespace decorr::learning
