#pragma once

#include "decorr/core/random.h"
#include "decorr/nn/decorrelated_layer.h"
#include "decorr/nn/decorrelated_linear.h"
#include "decorr/whitening/decorrelator.h"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <string>
#include <vector>

namespace decorr::nn {

/// Options of Linear.
struct LinearOptions {
  LinearOptions(std::int64_t in_features, std::int64_t out_features)
      : in_features_(in_features), out_features_(out_features) {}

  /// Width n of the input, at least 1.
  TORCH_ARG(std::int64_t, in_features);
  /// Width m of the output, at least 1.
  TORCH_ARG(std::int64_t, out_features);
  /// Whether a bias is learnt.
  TORCH_ARG(bool, bias) = true;
  /// How the input is decorrelated; method `none` makes this a plain linear layer.
  TORCH_ARG(whitening::DecorrelatorOptions, decorrelation);
  /// Draws the initial weights and whatever the decorrelation samples.
  TORCH_ARG(RandomStream, random) = RandomStream(0, "linear");
  /// Where the layer is in its model (`layers.0`), for messages; empty if that is not known.
  TORCH_ARG(std::string, path) = "";
};

/// A linear layer that reads decorrelated input: y = W·u + b with u = R(x - μ).
///
/// W [m, n] and b [m] start uniform in ±1/√n (LibTorch's Linear). After each optimizer step call
/// decorr::nn::update(model), the one place that changes R and μ, and with them W and b so that the
/// layer computes the same function. Without a bias, the buffer `bias_offset` [m] takes what
/// function preservation would add to it.
class LinearImpl : public torch::nn::Cloneable<LinearImpl>, public DecorrelatedLayer {
 public:
  LinearImpl(std::int64_t in_features, std::int64_t out_features)
      : LinearImpl(LinearOptions(in_features, out_features)) {}
  /// Throws `std::invalid_argument` for widths below 1 or decorrelation options that do not
  /// validate.
  explicit LinearImpl(LinearOptions options);

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  /// Maps `input` [.., n] to [.., m]; all leading dimensions count as samples. In training mode the
  /// Decorrelator takes its sample. Throws `std::invalid_argument` for another width or type.
  at::Tensor forward(const at::Tensor& input);

  whitening::Decorrelator& decorrelator() override { return decorrelator_; }
  const at::Tensor& weights() const override { return weight; }
  at::Tensor from_input(const at::Tensor& matrix) override;
  void accumulate_gradient(const at::Tensor& input, const at::Tensor& error) override;
  using DecorrelatedLayer::readouts;
  std::vector<whitening::Readout> readouts(const MomentsOf& moments) override;

  LinearOptions options;
  at::Tensor weight;       ///< W, [m, n], in the basis of u
  at::Tensor bias;         ///< b, [m], or undefined
  at::Tensor bias_offset;  ///< [m] if there is a Decorrelator and no bias, or from fold()

 private:
  std::string label() const;
  void check_input(const at::Tensor& input) const;
  DecorrelatedLinearParameters tensors();
  ReadRows read(const at::Tensor& rows);

  whitening::Decorrelator decorrelator_{nullptr};
};

TORCH_MODULE(Linear);

}  // namespace decorr::nn
