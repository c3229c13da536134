#pragma once

#include "decorr/core/random.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/model.h"

#include <ATen/ATen.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

namespace decorr::nn {

inline const at::TensorOptions kFloat64 = at::TensorOptions().dtype(at::kDouble);

/// Standard normal numbers in float64, different for each `stream`.
inline at::Tensor normal(at::IntArrayRef sizes, std::uint64_t stream) {
  return RandomStream(23, stream).normal(sizes, kFloat64);
}

/// Correlated rows [.., n] with a mean of 1, in float64; the correlations are those of `n` alone.
inline at::Tensor correlated(at::IntArrayRef sizes, std::uint64_t stream) {
  const std::int64_t n = sizes.back();
  const at::Tensor mixing = at::eye(n, kFloat64) + normal({n, n}, 1000) * 0.5;
  return at::matmul(normal(sizes, stream), mixing) + 1;
}

inline double max_error(const at::Tensor& actual, const at::Tensor& expected) {
  return (actual.detach() - expected.detach()).abs().max().item<double>();
}

/// The default decorrelation with an update in every step.
inline DecorrelationPlan every_step() {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  return everywhere(options);
}

/// The message of the std::invalid_argument that `action` throws.
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no std::invalid_argument was thrown";
}

/// Copies parameters and buffers by name, as loading a checkpoint does.
inline void copy_state(const torch::nn::Module& from, torch::nn::Module& to) {
  const at::NoGradGuard no_grad;
  for (const auto& item : from.named_parameters())
    to.named_parameters()[item.key()].copy_(item.value());
  for (const auto& item : from.named_buffers()) to.named_buffers()[item.key()].copy_(item.value());
}

/// Parameters and buffers by name, copied.
inline std::vector<std::pair<std::string, at::Tensor>> state_of(const torch::nn::Module& module) {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const auto& item : module.named_parameters())
    state.emplace_back(item.key(), item.value().detach().clone());
  for (const auto& item : module.named_buffers())
    state.emplace_back(item.key(), item.value().clone());
  return state;
}

/// The first name whose tensor is not bitwise the same in both states, or "" if there is none.
inline std::string difference(const torch::nn::Module& left, const torch::nn::Module& right) {
  const auto a = state_of(left);
  const auto b = state_of(right);
  if (a.size() != b.size()) return "number of tensors";
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || !at::equal(a[i].second, b[i].second)) return a[i].first;
  return "";
}

/// One step of plain gradient descent on every parameter that has a gradient, which it clears.
inline void descend(torch::nn::Module& module, double lr) {
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : module.parameters()) {
    if (!parameter.grad().defined()) continue;
    parameter.sub_(parameter.grad() * lr);
    parameter.mutable_grad() = at::Tensor();
  }
}

}  // namespace decorr::nn
