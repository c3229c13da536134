#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <iosfwd>
#include <memory>

namespace decorr::nn {

/// Takes a fixed number for each channel away: y = x - m.
///
/// It stands in front of a plain convolution with zero padding whose decorrelated form padded the
/// demeaned input (`pad = demeaned`): no bias can make up for μ at the border.
class SubtractMeanImpl : public torch::nn::Cloneable<SubtractMeanImpl> {
 public:
  /// For inputs with `channels` channels over `dimensions` spatial dimensions; m starts at 0.
  /// Throws `std::invalid_argument` if either is below 1.
  SubtractMeanImpl(std::int64_t channels, std::int64_t dimensions);

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  /// Maps `input` [N, channels, spatial..], or one sample without N, to the same shape. Throws
  /// `std::invalid_argument` for another number of channels or dimensions.
  at::Tensor forward(const at::Tensor& input);

  at::Tensor mean;  ///< m, [channels], a buffer

 private:
  std::int64_t channels_, dimensions_;
};

TORCH_MODULE(SubtractMean);

/// A SubtractMean (`0`) and then a convolution of LibTorch (`1`): a Sequential that may itself be
/// an element of a Sequential, which LibTorch's own may not.
class CentredImpl : public torch::nn::SequentialImpl {
 public:
  using SequentialImpl::SequentialImpl;

  std::shared_ptr<torch::nn::Module> clone(
      const c10::optional<at::Device>& device = c10::nullopt) const override;
  void pretty_print(std::ostream& stream) const override;

  /// The convolution of `input` [N, C, spatial..] less the mean.
  at::Tensor forward(const at::Tensor& input) { return SequentialImpl::forward(input); }
};

TORCH_MODULE(Centred);

}  // namespace decorr::nn
