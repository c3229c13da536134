#include "decorr/learning/direct_feedback_alignment.h"

#include "decorr/core/check.h"
#include "decorr/core/random.h"
#include "decorr/learning/feedback.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

namespace decorr::learning {
namespace {

constexpr const char* kName = "direct-feedback-alignment";

// Numbers of a sample that receive an error of their own: all of an image, one token of a sequence.
std::int64_t width_of(const TracedLayer& traced) {
  const bool sequence = traced.layer->weights().dim() == 2;
  std::int64_t width = sequence ? traced.input_sizes.back() : 1;
  if (!sequence)
    for (const std::int64_t size : traced.input_sizes) width *= size;
  return width;
}

// `error` [N, n] in the shape of the layer's input, each token of a sequence with the same.
at::Tensor shaped(const at::Tensor& error, const at::Tensor& input) {
  if (error.numel() == input.numel()) return error.view(input.sizes());
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(input.dim()), 1);
  sizes.front() = input.size(0);
  sizes.back() = input.size(-1);
  return error.view(sizes).expand_as(input);
}

}  // namespace

DirectFeedbackAlignment::DirectFeedbackAlignment(Network network, Loss loss,
                                                 const RuleOptions& options,
                                                 const at::Tensor& example)
    : network_(std::move(network)), loss_(std::move(loss)) {
  options.validate();
  check_argument(options.feedback_init != "weights",
                 "[{}] feedback_init must be uniform or normal: its matrices have not the shape of "
                 "the weights",
                 kName);
  check_error_path(network_, kName);
  layers_ = trace_layers(network_, example, kName);
  const at::Tensor& last = layers_.back().layer->weights();
  const std::int64_t outputs = last.size(0);
  const double scale = options.feedback_scale * root_mean_square(last);
  const RandomStream random(options.seed, "feedback");
  for (std::size_t i = 0; i < layers_.size(); ++i)
    matrices_.push_back(layers_[i].reads_data
                            ? at::Tensor()
                            : random_matrix({width_of(layers_[i]), outputs}, last,
                                            options.feedback_init, scale, random.at(i)));
}

BatchResult DirectFeedbackAlignment::accumulate(const at::Tensor& input, const at::Tensor& target,
                                                double weight) {
  // Each layer reads a detached copy of its input, so that every block is a graph of its own; then
  // all blocks are run backwards at once, from what their outputs receive.
  std::vector<at::Tensor> roots, errors;
  std::vector<std::size_t> owners;
  HookScope hooks;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    nn::LayerHooks hook;
    hook.input = [&, i](const at::Tensor& x) {
      if (!x.requires_grad()) return x;
      if (!input.requires_grad()) check_reads_data(layers_[i], x, kName);
      if (!matrices_[i].defined()) return x;
      check_argument(
          x.size(0) == input.size(0) && x.sizes().slice(1).vec() == layers_[i].input_sizes,
          "[{}] {} must read [{}, {}] as when the rule was built, got [{}]", kName, layers_[i].path,
          input.size(0), fmt::join(layers_[i].input_sizes, ", "), fmt::join(x.sizes(), ", "));
      roots.push_back(x);
      owners.push_back(i);
      return x.detach();
    };
    hooks.set(*layers_[i].layer, std::move(hook));
  }
  const at::Tensor logits = network_.forward(input);
  const at::Tensor leaf = logits.detach().requires_grad_();
  const at::Tensor value = loss_(leaf, target);
  const at::Tensor error = torch::autograd::grad({value}, {leaf})[0] * weight;

  for (std::size_t j = 0; j < roots.size(); ++j) {
    const at::Tensor& matrix = matrices_[owners[j]];
    check_argument(matrix.size(1) == error.size(1),
                   "[{}] the network must give [N, {}] as its last layer does, got [{}]", kName,
                   matrix.size(1), fmt::join(error.sizes(), ", "));
    errors.push_back(shaped(linalg::gemm(error, matrix.t()), roots[j]));
  }
  if (logits.requires_grad()) {
    roots.push_back(logits);
    errors.push_back(error);
  }
  torch::autograd::backward(roots, errors);
  return {value.detach(), logits.detach()};
}

std::map<std::string, at::Tensor> DirectFeedbackAlignment::state() const {
  return by_path(layers_, matrices_, "feedback");
}

}  // namespace decorr::learning
