#include "decorr/nn/transformer.h"

#include "decorr/core/check.h"
#include "decorr/nn/layer_factory.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace decorr::nn {
namespace {

constexpr std::int64_t kExpansion = 4;
constexpr double kPositionDeviation = 0.02;

torch::nn::LayerNorm layer_norm(std::int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}));
}

// Attention and a two-layer network, each added to its input, as Transformer describes it.
class BlockImpl : public torch::nn::Cloneable<BlockImpl> {
 public:
  BlockImpl(LayerFactory factory, std::string path, std::int64_t width, std::int64_t heads)
      : factory_(std::move(factory)), path_(std::move(path)), width_(width), heads_(heads) {
    reset();
  }

  void reset() override {
    const auto add = [&](const std::string& name, std::int64_t inputs, std::int64_t outputs) {
      return register_module(name, factory_.linear(path_ + "." + name, {inputs, outputs}));
    };
    norm1_ = register_module("norm1", layer_norm(width_));
    qkv_ = add("qkv", width_, 3 * width_);
    out_ = add("out", width_, width_);
    norm2_ = register_module("norm2", layer_norm(width_));
    expand_ = add("expand", width_, kExpansion * width_);
    contract_ = add("contract", kExpansion * width_, width_);
  }

  at::Tensor forward(const at::Tensor& input) {
    const at::Tensor x = input + out_->forward(attention(norm1_->forward(input)));
    return x + contract_->forward(at::gelu(expand_->forward(norm2_->forward(x))));
  }

 private:
  // [N, T, d] to [N, T, d]: what each token gathers from all, the heads side by side.
  at::Tensor attention(const at::Tensor& x) {
    const std::int64_t head_width = width_ / heads_;
    const at::Tensor qkv = qkv_->forward(x)
                               .view({x.size(0), x.size(1), 3, heads_, head_width})
                               .permute({2, 0, 3, 1, 4});
    const at::Tensor scores = at::matmul(qkv[0], qkv[1].transpose(2, 3));
    const at::Tensor weights =
        at::softmax(scores / std::sqrt(static_cast<double>(head_width)), /*dim=*/3);
    return at::matmul(weights, qkv[2]).transpose(1, 2).flatten(2);
  }

  LayerFactory factory_;
  std::string path_;
  std::int64_t width_, heads_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Linear qkv_{nullptr}, out_{nullptr}, expand_{nullptr}, contract_{nullptr};
};

}  // namespace

TransformerImpl::TransformerImpl(TransformerOptions options_in) : options(std::move(options_in)) {
  options.image().validate("Transformer");
  check_argument(options.width() >= 1, "[Transformer] width must be at least 1, got {}",
                 options.width());
  check_argument(options.depth() >= 0, "[Transformer] depth must be at least 0, got {}",
                 options.depth());
  check_argument(options.heads() >= 1 && options.width() % options.heads() == 0,
                 "[Transformer] heads must divide the width, got {} heads and width {}",
                 options.heads(), options.width());
  reset();
}

void TransformerImpl::reset() {
  const LayerFactory factory{options.decorrelation(), options.seed()};
  const auto [channels, height, width] = options.image();
  embedding_ = register_module("embedding",
                               factory.linear("embedding", {channels * width, options.width()}));
  positions =
      register_parameter("positions", RandomStream(options.seed(), "positions")
                                          .normal({height, options.width()}, at::TensorOptions())
                                          .mul_(kPositionDeviation));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (std::int64_t i = 0; i < options.depth(); ++i)
    blocks_->push_back(std::make_shared<BlockImpl>(factory, fmt::format("blocks.{}", i),
                                                   options.width(), options.heads()));
  norm_ = register_module("norm", layer_norm(options.width()));
  head_ = register_module("head", factory.linear("head", {options.width(), options.outputs()}));
}

at::Tensor TransformerImpl::forward(const at::Tensor& input) {
  options.image().check("Transformer", input);
  at::Tensor x = embedding_->forward(image_rows(input)) + positions;
  for (const std::shared_ptr<torch::nn::Module>& block : *blocks_)
    x = block->as<BlockImpl>()->forward(x);
  return head_->forward(norm_->forward(x).mean(1));
}

std::shared_ptr<Model> TransformerImpl::with_decorrelation(const DecorrelationPlan& plan) const {
  return std::make_shared<TransformerImpl>(TransformerOptions(options).decorrelation(plan));
}

}  // namespace decorr::nn
