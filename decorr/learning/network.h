#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <memory>
#include <utility>

namespace decorr::learning {

/// What a rule trains: a module and how to run it, from a batch of inputs [N, ..] to one row of
/// outputs [N, K] a sample. Made of any module, or holder of one, whose forward() does that:
/// `decorr::nn::Mlp`, `torch::nn::Sequential`, a class of one's own.
struct Network {
  template <typename M>
  Network(std::shared_ptr<M> pointer)  // NOLINT: meant to be implicit
      : module(pointer), forward([pointer = pointer.get()](const at::Tensor& input) -> at::Tensor {
          return pointer->forward(input);
        }) {}
  template <typename M>
  Network(const torch::nn::ModuleHolder<M>& holder)  // NOLINT: meant to be implicit
      : Network(holder.ptr()) {}

  std::shared_ptr<torch::nn::Module> module;
  std::function<at::Tensor(const at::Tensor&)> forward;  ///< valid as long as `module` is
};

}  // namespace decorr::learning
