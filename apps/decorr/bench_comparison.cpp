#include "apps/decorr/bench_comparison.h"

#include "decorr/core/check.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/precision.h"
#include "decorr/nn/update.h"
#include "decorr/train/setup.h"

#include <ATen/ATen.h>

#include "apps/decorr/bench_data.h"
#include "apps/decorr/bench_memory.h"
#include "apps/decorr/bench_networks.h"
#include <cmath>
#include <cstddef>

namespace decorr::bench {
namespace {

constexpr int kWarmUp = 3;
constexpr std::int64_t kBatches = 5;  // different ones, in turn, so that each meets an update

// A step, which is number `index` of the timed ones (negative: not timed).
void run_step(Training& training, const data::Batch& batch, int index, int cycle, int steps,
              Samples& samples) {
  const linalg::FlopCounter products;
  const TimedStep step = training.step(batch);
  check_runtime(std::isfinite(step.loss), "the loss of a timed step is {}", step.loss);
  check_runtime(step.skipped == 0, "{} layers skipped the update in a timed step", step.skipped);
  if (index < 0) return;
  samples.add(step, index % cycle, cycle);
  samples.products += static_cast<double>(products.count()) / steps;
  samples.bytes += static_cast<double>(products.bytes()) / steps;
}

// Bytes of tensors that a network's training needs at one time.
std::int64_t memory_of(const train::Config& config, const data::Dataset& images,
                       const std::vector<data::Batch>& batches) {
  return peak_tensor_bytes([&] {
    Training training(config, images);
    for (std::int64_t i = 0; i < 2 * config.decorrelation.options.update_every; ++i)
      training.step(batches[static_cast<std::size_t>(i) % batches.size()]);
  });
}

// Bytes of R and of the rows that are decorrelated: all of the batch for a dense layer, the sampled
// ones for a convolution, which never forms u.
std::int64_t bytes_of_decorrelation(nn::Model& model, std::int64_t batch) {
  std::int64_t bytes = 0;
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(model)) {
    whitening::Decorrelator& decorrelator = located.layer->decorrelator();
    if (!decorrelator->active()) continue;
    const at::Tensor& matrix = decorrelator->matrix();
    const std::int64_t rows =
        located.layer->weights().dim() == 2 ? batch : decorrelator->options().max_samples;
    bytes += static_cast<std::int64_t>(matrix.nbytes()) +
             rows * decorrelator->features() * matrix.element_size();
  }
  return bytes;
}

}  // namespace

train::Config configuration(const std::string& model, const std::string& precision,
                            std::int64_t scale) {
  train::Config config = network_config(model, scale);
  set_precision(config, precision);
  return config;
}

Comparison compare(const std::string& model, const std::string& precision, std::int64_t scale,
                   int steps) {
  const train::Config config = configuration(model, precision, scale);
  const linalg::ProductPrecision products(train::rounds_products(config));
  const data::Dataset images = random_images(kBatches * config.train.batch_size);
  const std::vector<data::Batch> batches = training_batches(config, images);
  const std::int64_t plain_memory = memory_of(plain(config), images, batches);
  const std::int64_t decorrelated_memory = memory_of(config, images, batches);
  Training without(plain(config), images), with(config, images);
  Comparison result{
      model, precision, config.train.batch_size, 0, plain_flops(without.model(), batches[0].input),
      {},    {}};
  result.plain.memory = plain_memory;
  result.decorrelated.memory = decorrelated_memory;
  result.decorrelation_bytes = bytes_of_decorrelation(with.model(), config.train.batch_size);
  // Whole cycles, so that each holds one update.
  const auto cycle = static_cast<int>(config.decorrelation.options.update_every);
  const int warm_up = (kWarmUp + cycle - 1) / cycle * cycle;
  result.steps = (steps + cycle - 1) / cycle * cycle;
  for (int i = -warm_up; i < result.steps; ++i) {
    const data::Batch& batch = batches[static_cast<std::size_t>(i + warm_up) % batches.size()];
    run_step(without, batch, i, cycle, result.steps, result.plain);
    run_step(with, batch, i, cycle, result.steps, result.decorrelated);
  }
  return result;
}

}  // namespace decorr::bench
