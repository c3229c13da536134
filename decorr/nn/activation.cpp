#include "decorr/nn/activation.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <utility>

namespace decorr::nn {
namespace {

const std::vector<std::pair<std::string, Activation>>& table() {
  static const std::vector<std::pair<std::string, Activation>> entries = {
      {"relu", [](const at::Tensor& x) { return at::relu(x); }},
      {"leaky-relu", [](const at::Tensor& x) { return at::leaky_relu(x, 0.01); }},
      {"tanh", [](const at::Tensor& x) { return at::tanh(x); }},
      {"sigmoid", [](const at::Tensor& x) { return at::sigmoid(x); }},
      {"gelu", [](const at::Tensor& x) { return at::gelu(x); }},
      {"elu", [](const at::Tensor& x) { return at::elu(x); }},
      {"silu", [](const at::Tensor& x) { return at::silu(x); }},
      {"identity", [](const at::Tensor& x) { return x; }}};
  return entries;
}

}  // namespace

std::vector<std::string> activations() {
  std::vector<std::string> names;
  for (const auto& entry : table()) names.push_back(entry.first);
  return names;
}

Activation activation(const std::string& name) {
  for (const auto& [known, function] : table())
    if (name == known) return function;
  check_argument(false, "[activation] must be one of {}, got \"{}\"",
                 fmt::join(activations(), ", "), name);
  return nullptr;
}

}  // namespace decorr::nn
