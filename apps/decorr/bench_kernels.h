#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace decorr::bench {

/// One operation of a training step, on operands of its own.
struct Kernel {
  std::string name;             ///< what it is: `forward`
  std::string shape;            ///< of its operands: `[256, 3072] x [3072, 1000]`
  double flops = 0;             ///< floating-point operations of matrix products; 0 for none
  double bytes = 0;             ///< operands read and results written, each once
  std::function<void()> run{};  ///< does it once
  at::Tensor result{};          ///< what run() changes
  std::function<at::Tensor()> expected{};  ///< what it would make of `result` by ATen's operations
};

/// Runs `kernel` once. Throws `std::runtime_error` if its result is not the expected one.
void check(const Kernel& kernel);

/// The kernels of a step of the network `mlp` of network_config(), plain and decorrelated, and a
/// copy of memory; sizes are divided by `scale`.
std::vector<Kernel> step_kernels(std::int64_t scale);

}  // namespace decorr::bench
