#pragma once

#include "decorr/nn/image.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>

namespace decorr::nn {

/// Options of Transformer.
struct TransformerOptions {
  TransformerOptions(ImageShape image, std::int64_t outputs) : image_(image), outputs_(outputs) {}

  /// Size of the images; each of their rows is a token of C·W numbers.
  TORCH_ARG(ImageShape, image);
  /// Number of outputs (classes).
  TORCH_ARG(std::int64_t, outputs);
  /// Width d of a token in the network.
  TORCH_ARG(std::int64_t, width) = 64;
  /// Number of blocks; 0 leaves a linear model of the mean token.
  TORCH_ARG(std::int64_t, depth) = 2;
  /// Attention heads of a block; they divide the width.
  TORCH_ARG(std::int64_t, heads) = 4;
  /// Decorrelation of each layer, asked with the paths `embedding`, `blocks.0.qkv`, `blocks.0.out`,
  /// `blocks.0.expand`, `blocks.0.contract`, …, `head`.
  TORCH_ARG(DecorrelationPlan, decorrelation) = everywhere();
  /// Seed of the initial weights and of whatever the layers draw.
  TORCH_ARG(std::uint64_t, seed) = 0;
};

/// Small transformer encoder that reads an image row by row.
///
/// Tokens are embedded linearly, learnt positions are added, and each block computes
/// x ← x + out(attention(LN(x))), x ← x + contract(gelu(expand(LN(x)))), layer normalization first,
/// with `expand` to 4d. Attention is softmax(QKᵀ/√(d/heads))·V a head (Vaswani et al., *Attention
/// Is All You Need*, NeurIPS 2017; as in Dosovitskiy et al., ICLR 2021). The head reads the mean of
/// the normalized tokens. Queries, keys and values are one layer, `qkv`: they read the same input,
/// so that one R serves the three.
class TransformerImpl : public torch::nn::Cloneable<TransformerImpl>, public Model {
 public:
  /// Throws `std::invalid_argument` for sizes below 1, a negative depth, or heads that do not
  /// divide the width.
  explicit TransformerImpl(TransformerOptions options);

  void reset() override;

  /// Maps images [N, C, H, W] to [N, outputs].
  at::Tensor forward(const at::Tensor& input) override;

  std::shared_ptr<Model> with_decorrelation(const DecorrelationPlan& plan) const override;

  TransformerOptions options;
  at::Tensor positions;  ///< added to the embedded tokens, [H, d]

 private:
  Linear embedding_{nullptr}, head_{nullptr};
  torch::nn::ModuleList blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};

TORCH_MODULE(Transformer);

}  // namespace decorr::nn
