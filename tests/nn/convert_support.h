#pragma once

#include "decorr/linalg/block_diagonal.h"
#include "decorr/nn/conv.h"
#include "decorr/nn/update.h"

#include <torch/enum.h>
#include <torch/nn/modules/conv.h>

#include "tests/nn/support.h"
#include <cstdint>
#include <string>
#include <vector>

// What the tests of convert() and fold() have in common.
namespace decorr::nn {

inline whitening::DecorrelatorOptions with_method(const std::string& name) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = name;
  return options;
}

/// Gives every decorrelated layer of `model` an R and a μ away from where they start, and layers
/// that learn no bias an offset.
inline void disturb(torch::nn::Module& model) {
  const at::NoGradGuard no_grad;
  std::uint64_t stream = 500;
  const auto noise = [&stream](const at::Tensor& like) {
    return normal(like.sizes(), stream++).to(like.scalar_type());
  };
  for (const LocatedLayer& located : decorrelated_layers(model)) {
    whitening::Decorrelator& decorrelator = located.layer->decorrelator();
    if (!decorrelator->active()) continue;
    if (decorrelator->matrix().dim() == 1) {
      decorrelator->matrix().add_(noise(decorrelator->matrix()).abs());
    } else {
      for (std::int64_t i = 0; i < decorrelator->layout().groups; ++i)
        for (std::int64_t j = 0; j < linalg::block_count(decorrelator->group_matrix(i)); ++j) {
          const at::Tensor block = linalg::block(decorrelator->group_matrix(i), j);
          block.add_(noise(block) * 0.3);
        }
    }
    decorrelator->running_mean().add_(noise(decorrelator->running_mean()));
  }
  for (const auto& item : model.named_buffers())
    if (item.key().find("bias_offset") != std::string::npos) item.value().add_(noise(item.value()));
}

/// Convolutions of 4 to 6 channels with every option away from its default somewhere.
inline std::vector<torch::nn::Conv2dOptions> convolutions() {
  using Options = torch::nn::Conv2dOptions;
  const auto conv = [](at::IntArrayRef kernel) { return Options(4, 6, {kernel[0], kernel[1]}); };
  return {conv({1, 1}),
          conv({3, 3}).padding(1),
          conv({2, 3}).stride({2, 1}).padding({1, 2}).bias(false),
          conv({3, 2}).dilation({2, 1}).groups(2).padding({2, 0}),
          Options(4, 4, 3).groups(4).padding(1).bias(false),
          conv({2, 3}).padding(torch::kSame),
          conv({3, 3}).padding(torch::kValid),
          conv({3, 5}).padding({1, 2}).padding_mode(torch::kReflect),
          conv({3, 2}).padding({2, 1}).padding_mode(torch::kReplicate).stride(2),
          conv({3, 3}).padding({1, 2}).padding_mode(torch::kCircular).groups(2).bias(false),
          conv({3, 3}).padding(torch::kSame).padding_mode(torch::kCircular)};
}

/// The same over one dimension.
inline std::vector<torch::nn::Conv1dOptions> convolutions_1d() {
  using Options = torch::nn::Conv1dOptions;
  return {Options(4, 6, 3).padding(2).stride(2),
          Options(4, 6, 2).padding(torch::kSame).groups(2).bias(false),
          Options(4, 6, 4).padding(torch::kSame).padding_mode(torch::kReflect),
          Options(4, 6, 3).dilation(2).padding(1).padding_mode(torch::kReplicate)};
}

}  // namespace decorr::nn
