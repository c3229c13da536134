// What decorrelation costs a dense layer, and oneDNN's matrix product against ATen's.
//   decorr_linear_benchmark --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
#include "decorr/core/random.h"
#include "decorr/core/threads.h"
#include "decorr/linalg/gemm.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace {

constexpr std::int64_t kWidth = 1000;
constexpr std::int64_t kBatch = 256;

at::Tensor normal(at::IntArrayRef sizes, std::uint64_t index) {
  return decorr::RandomStream(1, "benchmark").at(index).normal(sizes, at::kFloat);
}

// Counts the products of one run of `work` and reports them as a rate.
template <typename Work>
void report_flops(benchmark::State& state, const Work& work) {
  const decorr::linalg::FlopCounter flops;
  work();
  state.counters["FLOP"] =
      benchmark::Counter(static_cast<double>(flops.count()), benchmark::Counter::kDefaults,
                         benchmark::Counter::kIs1000);
  state.counters["FLOP/s"] = benchmark::Counter(static_cast<double>(flops.count()),
                                                benchmark::Counter::kIsIterationInvariantRate,
                                                benchmark::Counter::kIs1000);
}

// One step of a hidden layer: forward, backward (into the input as well), Adam, update of R.
void training_step(benchmark::State& state, const std::string& method) {
  decorr::whitening::DecorrelatorOptions decorrelation;
  decorrelation.method = method;
  decorrelation.update_every = 1;
  decorr::nn::Linear layer(decorr::nn::LinearOptions(kWidth, kWidth).decorrelation(decorrelation));
  decorr::optim::Adam optimizer({{"weight", layer->weight}, {"bias", layer->bias}});
  const at::Tensor input = normal({kBatch, kWidth}, 0).requires_grad_(true);
  const at::Tensor error = normal({kBatch, kWidth}, 1);

  const auto step = [&] {
    optimizer.zero_grad();
    input.mutable_grad() = at::Tensor();
    layer->forward(input).backward(error);
    optimizer.step(1e-4);
    decorr::update(*layer);
  };
  report_flops(state, step);
  for (auto _ : state) step();

  if (!std::isfinite(layer->weight.sum().item<double>()))
    state.SkipWithError("the weights are not finite");
}

const at::Tensor& left() {
  static const at::Tensor matrix = normal({kBatch, kWidth}, 2);
  return matrix;
}

const at::Tensor& right() {
  static const at::Tensor matrix = normal({kWidth, kWidth}, 3);
  return matrix;
}

void product_onednn(benchmark::State& state) {
  at::Tensor out = at::empty({kBatch, kWidth}, at::kFloat);
  const auto work = [&] { decorr::linalg::gemm_(out, left(), right()); };
  report_flops(state, work);
  for (auto _ : state) work();
  if (!at::allclose(out, at::mm(left(), right()), 1e-3, 1e-2))
    state.SkipWithError("the product differs from ATen's");
}

void product_aten(benchmark::State& state) {
  at::Tensor out = at::empty({kBatch, kWidth}, at::kFloat);
  for (auto _ : state) at::mm_out(out, left(), right());
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * kBatch * kWidth * kWidth,
                                                benchmark::Counter::kIsIterationInvariantRate,
                                                benchmark::Counter::kIs1000);
}

BENCHMARK_CAPTURE(training_step, plain, "none")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, decorrelated, "norm-preserving")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, standardized, "standardize")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(product_onednn)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(product_aten)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  decorr::set_threads(0);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
