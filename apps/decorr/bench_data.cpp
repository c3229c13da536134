#include "apps/decorr/bench_data.h"

#include "decorr/core/random.h"
#include "decorr/data/loader.h"
#include "decorr/data/transform.h"
#include "decorr/train/setup.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace decorr::bench {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kClasses = 10;

// `count` images: random numbers on a coarse grid, interpolated; brightness is shared by the
// colours.
at::Tensor smooth_images(std::int64_t count, const RandomStream& random) {
  constexpr std::int64_t kGrid = 8;
  const at::Tensor brightness = random.at(0).normal({count, 1, kGrid, kGrid}, at::kFloat);
  const at::Tensor colour = random.at(1).normal({count, 3, kGrid, kGrid}, at::kFloat);
  const at::Tensor fine =
      at::upsample_bilinear2d(brightness * 50 + colour * 20, {kSide, kSide}, false);
  return (fine + 128).clamp(0, 255).to(at::kByte);
}

}  // namespace

data::Dataset random_images(std::int64_t count) {
  constexpr std::int64_t kChunk = 1000;  // bounds the memory for images in float32
  const RandomStream random(1, "benchmark images");
  data::Dataset dataset;
  dataset.name = "random images";
  dataset.images = at::empty({count, 3, kSide, kSide}, at::kByte);
  for (std::int64_t first = 0; first < count; first += kChunk) {
    const std::int64_t size = std::min(kChunk, count - first);
    dataset.images.narrow(0, first, size)
        .copy_(smooth_images(size, random.at(static_cast<std::uint64_t>(first))));
  }
  dataset.labels = at::arange(count, at::kLong).remainder(kClasses);
  for (std::int64_t i = 0; i < kClasses; ++i) dataset.classes.push_back(fmt::format("class {}", i));
  return dataset;
}

std::vector<data::Batch> training_batches(const train::Config& config,
                                          const data::Dataset& dataset) {
  data::Loader loader(dataset, train::training_loader(config, data::measure(dataset)));
  loader.start(0);
  std::vector<data::Batch> batches;
  for (data::Batch batch; loader.next(batch);) batches.push_back(std::move(batch));
  return batches;
}

}  // namespace decorr::bench
