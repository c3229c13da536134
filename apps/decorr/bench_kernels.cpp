#include "apps/decorr/bench_kernels.h"

#include "decorr/core/check.h"
#include "decorr/core/random.h"
#include "decorr/linalg/gemm.h"
#include "decorr/optim/adam.h"
#include "decorr/whitening/options.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include "apps/decorr/bench_networks.h"
#include "apps/decorr/bench_peak.h"
#include <initializer_list>
#include <memory>
#include <utility>

namespace decorr::bench {
namespace {

at::Tensor normal(at::IntArrayRef sizes, std::uint64_t index) {
  return RandomStream(1, "kernels").at(index).normal(sizes, at::kFloat);
}

double total_bytes(std::initializer_list<at::Tensor> tensors) {
  double bytes = 0;
  for (const at::Tensor& tensor : tensors) bytes += static_cast<double>(tensor.nbytes());
  return bytes;
}

std::string shape_of(const at::Tensor& a, const at::Tensor& b) {
  return fmt::format("[{}] x [{}]", fmt::join(a.sizes(), ", "), fmt::join(b.sizes(), ", "));
}

// A·B into memory that is there already.
Kernel product(const std::string& name, const at::Tensor& a, const at::Tensor& b) {
  Kernel kernel{name, shape_of(a, b)};
  kernel.result = at::empty({a.size(0), b.size(1)}, at::kFloat);
  kernel.flops = 2 * static_cast<double>(kernel.result.numel() * a.size(1));
  kernel.bytes = total_bytes({a, b, kernel.result});
  kernel.run = [out = kernel.result, a, b]() mutable { linalg::gemm_(out, a, b); };
  kernel.expected = [a, b] { return at::mm(a, b); };
  return kernel;
}

// R ← R + εUᵀV with `rank` rows in U and V; ε keeps R bounded over the repetitions.
Kernel rank_k_update(std::int64_t rank, std::int64_t n) {
  constexpr double kStep = 1e-6;
  const at::Tensor u = normal({rank, n}, 5), v = normal({rank, n}, 6);
  Kernel kernel{"rank-k update of R", shape_of(u.t(), v)};
  kernel.result = at::eye(n, at::kFloat);
  kernel.flops = 2 * static_cast<double>(rank * n * n);
  kernel.bytes = total_bytes({u, v, kernel.result, kernel.result});
  kernel.run = [r = kernel.result, u, v]() mutable { linalg::rank_k_update_(r, u, v, kStep, 1); };
  kernel.expected = [r = kernel.result, u, v] { return at::addmm(r, u.t(), v, 1, kStep); };
  return kernel;
}

// The pass of Adam over all of `count` parameters; what is checked is its first moment.
Kernel adam_pass(std::int64_t count) {
  const at::Tensor parameter = normal({count}, 7).requires_grad_(true);
  const at::Tensor gradient = normal({count}, 8);
  parameter.mutable_grad() = gradient;
  const optim::AdamOptions options = optim::AdamOptions().beta2(0.9999);
  const auto optimizer =
      std::make_shared<optim::Adam>(optim::NamedParameters{{"parameter", parameter}}, options);
  Kernel kernel{"Adam", fmt::format("[{}]", count)};
  kernel.result = optimizer->first_moments(parameter).at(0);
  // Reads parameter, gradient and two moments; writes all but the gradient.
  kernel.bytes = 7.0 * static_cast<double>(parameter.nbytes());
  kernel.run = [optimizer] { optimizer->step(1e-4); };
  kernel.expected = [m = kernel.result, gradient, beta1 = options.beta1()] {
    return m * beta1 + gradient * (1 - beta1);
  };
  return kernel;
}

Kernel copy(std::int64_t count) {
  const at::Tensor source = normal({count}, 9);
  Kernel kernel{"copy of memory", fmt::format("[{}]", count)};
  kernel.result = at::empty_like(source);
  kernel.bytes = 2 * static_cast<double>(source.nbytes());
  kernel.run = [target = kernel.result, source]() { target.copy_(source); };
  kernel.expected = [source] { return source; };
  return kernel;
}

}  // namespace

void check(const Kernel& kernel) {
  const at::Tensor expected = kernel.expected();
  kernel.run();
  const double error = ((kernel.result - expected).norm() / expected.norm()).item<double>();
  check_runtime(error < 1e-4, "the result of {} on {} differs from ATen's by {} of its norm",
                kernel.name, kernel.shape, error);
}

std::vector<Kernel> step_kernels(std::int64_t scale) {
  const std::int64_t batch = scaled(256, scale, 2), width = scaled(1000, scale), classes = 10;
  // Rows that an update samples, as DecorrelatorOptions::sample_fraction says.
  const double share = whitening::DecorrelatorOptions().sample_fraction;
  const auto rank = static_cast<std::int64_t>(share * static_cast<double>(batch)) + 1;
  std::vector<std::int64_t> widths{scaled(3072, scale), width, width, width, width, classes};
  std::vector<Kernel> kernels;
  for (const auto& [n, m] : {std::pair{widths[0], width}, {width, width}, {width, classes}}) {
    const at::Tensor x = normal({batch, n}, 0), weights = normal({m, n}, 1);
    const at::Tensor error = normal({batch, m}, 2);
    kernels.push_back(product("forward", x, weights.t()));
    kernels.push_back(product("weight gradient", error.t(), x));
    if (n != widths[0]) kernels.push_back(product("input gradient", error, weights));
  }
  for (const std::int64_t n : {widths[0], width}) {
    kernels.push_back(product("rows through R", normal({batch, n}, 3), normal({n, n}, 4).t()));
    kernels.push_back(rank_k_update(rank, n));
  }
  std::int64_t parameters = 0;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) parameters += widths[i + 1] * (widths[i] + 1);
  kernels.push_back(adam_pass(parameters));
  kernels.push_back(copy(streamed_elements(scale)));
  return kernels;
}

}  // namespace decorr::bench
