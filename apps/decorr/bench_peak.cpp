#include "apps/decorr/bench_peak.h"

#include "decorr/core/random.h"
#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>

#include "apps/decorr/bench_networks.h"
#include "apps/decorr/bench_timing.h"
#include <algorithm>

namespace decorr::bench {
namespace {

constexpr int kRuns = 8;

}  // namespace

double peak_flops(std::int64_t scale) {
  const std::int64_t n = scaled(2048, scale, 128);
  const RandomStream random(1, "peak");
  const at::Tensor a = random.at(0).normal({n, n}, at::kFloat);
  const at::Tensor b = random.at(1).normal({n, n}, at::kFloat);
  at::Tensor out = at::empty({n, n}, at::kFloat);
  const auto order = static_cast<double>(n);
  return 2 * order * order * order / least_seconds(kRuns, [&] { linalg::gemm_(out, a, b); });
}

std::int64_t streamed_elements(std::int64_t scale) {
  return scaled(std::int64_t{1} << 24, scale, 1024);
}

double memory_bandwidth(std::int64_t scale) {
  const at::Tensor source = at::ones({streamed_elements(scale)}, at::kFloat);
  at::Tensor target = at::empty_like(source);
  const double copy = least_seconds(kRuns, [&] { target.copy_(source); });
  const double change = least_seconds(kRuns, [&] { target.mul_(1); });
  return 2 * static_cast<double>(source.nbytes()) / std::min(copy, change);
}

}  // namespace decorr::bench
