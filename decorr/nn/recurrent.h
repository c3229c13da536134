#pragma once

#include "decorr/nn/image.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>

namespace decorr::nn {

/// Options of Recurrent.
struct RecurrentOptions {
  RecurrentOptions(ImageShape image, std::int64_t outputs) : image_(image), outputs_(outputs) {}

  /// Size of the images; each of their rows is a time step of C·W numbers.
  TORCH_ARG(ImageShape, image);
  /// Number of outputs (classes).
  TORCH_ARG(std::int64_t, outputs);
  /// Number of hidden units d.
  TORCH_ARG(std::int64_t, width) = 64;
  /// Decorrelation of each layer, asked with the paths `input`, `hidden` and `head`.
  TORCH_ARG(DecorrelationPlan, decorrelation) = everywhere();
  /// Seed of the initial weights and of whatever the layers draw.
  TORCH_ARG(std::uint64_t, seed) = 0;
};

/// Recurrent network of gated units (GRU) that reads an image row by row, from the top.
///
/// From h₀ = 0, for each row x_t, with r, z and n the thirds of W·x_t + b and of U·h_{t-1} + c:
///
///     r = σ(r_x + r_h),  z = σ(z_x + z_h),  n = tanh(n_x + r∘n_h),  h_t = (1 - z)∘n + z∘h_{t-1}
///
/// (Cho et al., EMNLP 2014, in the form of LibTorch's GRU). The head reads the last h. W and U are
/// decorrelated linear layers, `input` and `hidden`; the rows that `hidden` sees in all time steps
/// make one sample of its update. With `mean` batch, each time step is centred by its own mean.
class RecurrentImpl : public torch::nn::Cloneable<RecurrentImpl>, public Model {
 public:
  /// Throws `std::invalid_argument` for sizes below 1.
  explicit RecurrentImpl(RecurrentOptions options);

  void reset() override;

  /// Maps images [N, C, H, W] to [N, outputs].
  at::Tensor forward(const at::Tensor& input) override;

  std::shared_ptr<Model> with_decorrelation(const DecorrelationPlan& plan) const override;

  RecurrentOptions options;

 private:
  Linear input_{nullptr}, hidden_{nullptr}, head_{nullptr};
};

TORCH_MODULE(Recurrent);

}  // namespace decorr::nn
