#include "decorr/nn/decorrelated_layer.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>

namespace decorr::nn {

void validate(const whitening::DecorrelatorOptions& options, const std::string& label) {
  try {
    options.validate();
  } catch (const std::invalid_argument& error) {
    check_argument(false, "[{}] {}", label, error.what());
  }
}

void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  at::Tensor& sum = parameter.mutable_grad();
  sum = sum.defined() ? sum + gradient : gradient;
}

void DecorrelatedLayer::remove_companion(const at::Tensor& matrix) {
  companions_.erase(std::remove_if(companions_.begin(), companions_.end(),
                                   [&](const at::Tensor& own) { return own.is_same(matrix); }),
                    companions_.end());
}

}  // namespace decorr::nn
