#include "decorr/nn/subtract_mean.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <ostream>
#include <vector>

namespace decorr::nn {

SubtractMeanImpl::SubtractMeanImpl(std::int64_t channels, std::int64_t dimensions)
    : channels_(channels), dimensions_(dimensions) {
  check_argument(channels >= 1 && dimensions >= 1,
                 "[SubtractMean] channels and dimensions must be at least 1, got {} and {}",
                 channels, dimensions);
  reset();
}

void SubtractMeanImpl::reset() { mean = register_buffer("mean", at::zeros({channels_})); }

void SubtractMeanImpl::pretty_print(std::ostream& stream) const {
  stream << "decorr::nn::SubtractMean(channels=" << channels_ << ")";
}

at::Tensor SubtractMeanImpl::forward(const at::Tensor& input) {
  const bool ranked = input.dim() == dimensions_ + 1 || input.dim() == dimensions_ + 2;
  check_argument(ranked && input.size(-dimensions_ - 1) == channels_,
                 "[SubtractMean] input must have {} channels before its {} spatial dimensions, got "
                 "[{}]",
                 channels_, dimensions_, fmt::join(input.sizes(), ", "));
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(dimensions_) + 1, 1);
  sizes.front() = channels_;
  return input - mean.view(sizes);
}

std::shared_ptr<torch::nn::Module> CentredImpl::clone(
    const c10::optional<at::Device>& device) const {
  auto copy = std::make_shared<CentredImpl>();
  for (const torch::nn::AnyModule& module : *this) copy->push_back(module.clone(device));
  return copy;
}

void CentredImpl::pretty_print(std::ostream& stream) const { stream << "decorr::nn::Centred"; }

}  // namespace decorr::nn
