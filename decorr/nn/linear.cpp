#include "decorr/nn/linear.h"

#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/precision.h"

#include <ATen/ATen.h>

#include <cmath>
#include <ostream>
#include <utility>

namespace decorr::nn {

LinearImpl::LinearImpl(LinearOptions options_in) : options(std::move(options_in)) {
  const std::string label = this->label();
  check_argument(options.in_features() >= 1, "[{}] in_features must be at least 1, got {}", label,
                 options.in_features());
  check_argument(options.out_features() >= 1, "[{}] out_features must be at least 1, got {}", label,
                 options.out_features());
  validate(options.decorrelation(), label);
  reset();
}

std::string LinearImpl::label() const { return layer_label("Linear", options.path()); }

void LinearImpl::reset() {
  const double bound = 1 / std::sqrt(static_cast<double>(options.in_features()));
  const RandomStream& random = options.random();
  weight = register_parameter(
      "weight", random.at(0).uniform({options.out_features(), options.in_features()}, -bound, bound,
                                     at::TensorOptions()));
  decorrelator_ = register_module(
      "decorrelator",
      whitening::Decorrelator(options.in_features(), options.decorrelation(), random.at(2)));
  if (options.bias()) {
    bias = register_parameter(
        "bias", random.at(1).uniform({options.out_features()}, -bound, bound, at::TensorOptions()));
  } else if (decorrelator_->active() || bias_offset.defined()) {
    bias_offset = register_buffer("bias_offset", at::zeros({options.out_features()}));
  }
}

void LinearImpl::pretty_print(std::ostream& stream) const {
  stream << "decorr::nn::Linear(in_features=" << options.in_features()
         << ", out_features=" << options.out_features() << ", bias=" << std::boolalpha
         << options.bias() << ")";
}

void LinearImpl::check_input(const at::Tensor& input) const {
  check_argument(input.dim() >= 1 && input.size(-1) == options.in_features(),
                 "[{}] input must be [.., {}], got [{}]", label(), options.in_features(),
                 fmt::join(input.sizes(), ", "));
  check_argument(input.scalar_type() == weight.scalar_type() && input.device() == weight.device(),
                 "[{}] input must be {} on {} like the weights, got {} on {}", label(),
                 c10::toString(weight.scalar_type()), weight.device().str(),
                 c10::toString(input.scalar_type()), input.device().str());
  check_argument(input.numel() > 0, "[{}] input must not be empty, got [{}]", label(),
                 fmt::join(input.sizes(), ", "));
}

DecorrelatedLinearParameters LinearImpl::tensors() {
  const bool rounds = options.decorrelation().precision == "bf16";
  const at::Tensor& matrix = decorrelator_->matrix();
  const bool rounded = (rounds || linalg::bfloat16_products()) && matrix.defined() &&
                       matrix.dim() == 2 && matrix.scalar_type() == at::kFloat &&
                       matrix.device().is_cpu();
  return {weight,
          bias.defined() ? bias : bias_offset,
          rounded ? decorrelator_->rounded_matrix() : matrix,
          decorrelator_->running_mean(),
          decorrelator_->uses_batch_mean(),
          rounds};
}

at::Tensor LinearImpl::forward(const at::Tensor& input) {
  check_input(input);
  const at::Tensor x = hooks().input ? hooks().input(input) : input;
  const at::Tensor rows = x.reshape({-1, options.in_features()});
  if (records_input()) record(rows);
  decorrelator_->observe(rows);
  at::Tensor output;
  if (hooks().kept && !at::GradMode::is_enabled()) {
    const ReadRows made = read(rows);
    if (hooks().keep) *hooks().kept = {rows, static_cast<std::int64_t>(rows._version()), made};
    output = decorrelated_linear_output(made, tensors());
  } else {
    output = decorrelated_linear(rows, tensors(), hooks().feedback);
  }
  if (x.dim() != 2) {
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = options.out_features();
    output = output.reshape(sizes);
  }
  return hooks().output ? hooks().output(output) : output;
}

// What the weights read of `rows`, made or kept.
ReadRows LinearImpl::read(const at::Tensor& rows) {
  if (hooks().kept && hooks().kept->is_of(rows)) return hooks().kept->read;
  return read_rows(rows, tensors());
}

at::Tensor LinearImpl::from_input(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  return decorrelator_->active() ? linalg::times(matrix, decorrelator_->matrix()) : matrix;
}

void LinearImpl::accumulate_gradient(const at::Tensor& input, const at::Tensor& error) {
  const at::NoGradGuard no_grad;
  check_input(input);
  check_argument(error.numel() * options.in_features() == input.numel() * options.out_features(),
                 "[{}] the error must be [.., {}] like the output, got [{}]", label(),
                 options.out_features(), fmt::join(error.sizes(), ", "));
  const at::Tensor rows = input.reshape({-1, options.in_features()});
  const at::Tensor delta = error.reshape({-1, options.out_features()});
  if (weight.requires_grad())
    add_gradient(weight, decorrelated_linear_gradient(read(rows), delta, tensors()));
  if (bias.defined() && bias.requires_grad()) add_gradient(bias, delta.sum(0));
}

std::vector<whitening::Readout> LinearImpl::readouts(const MomentsOf& moments) {
  std::vector<whitening::Readout> result{{weight, bias.defined() ? bias : bias_offset,
                                          moments ? moments(weight) : std::vector<at::Tensor>()}};
  for (const at::Tensor& companion : companions()) result.push_back({companion, {}, {}});
  return result;
}

}  // namespace decorr::nn
