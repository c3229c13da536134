#include "decorr/data/gaussian.h"

#include "decorr/core/check.h"
#include "decorr/core/random.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace decorr::data {
namespace {

constexpr double kZero = 128;  // pixel of x = 0
constexpr double kUnit = 32;   // pixels of a standard deviation

void check_range(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  check_argument(value >= low && value <= high, "[gaussian] {} must be in [{}, {}], got {}", name,
                 low, high, value);
}

std::uint8_t pixel(double x) {
  return static_cast<std::uint8_t>(std::clamp(std::round(kZero + kUnit * x), 0.0, 255.0));
}

}  // namespace

Dataset make_gaussian(const std::string& split, const GaussianOptions& options) {
  check_range("samples", options.samples, 1, 10'000'000);
  check_range("features", options.features, 1, 100'000);
  check_range("classes", options.classes, 2, 10'000);
  check_argument(options.correlation >= 0 && options.correlation < 1,
                 "[gaussian] correlation must be in [0, 1), got {}", options.correlation);
  const std::int64_t count =
      split == "train" ? options.samples : std::max<std::int64_t>(1, options.samples / 5);
  const std::int64_t features = options.features;
  at::Tensor teacher = RandomStream(options.seed, "gaussian teacher")
                           .normal({options.classes, features}, at::kDouble);
  teacher = teacher / teacher.norm(2, {1}, true);

  Dataset result{
      "gaussian", at::empty({count, 1, 1, features}, at::kByte), at::empty({count}, at::kLong), {}};
  for (std::int64_t i = 0; i < options.classes; ++i) result.classes.push_back(std::to_string(i));
  std::uint8_t* pixels = result.images.data_ptr<std::uint8_t>();
  const double fresh = std::sqrt(1 - options.correlation * options.correlation);
  const RandomStream stream(options.seed, "gaussian " + split);
  constexpr std::int64_t kChunk = 1000;  // bounds the memory for the numbers in float64
  for (std::int64_t first = 0; first < count; first += kChunk) {
    const std::int64_t rows = std::min(kChunk, count - first);
    const at::Tensor noise =
        stream.at(static_cast<std::uint64_t>(first)).normal({rows, features}, at::kDouble);
    result.labels.narrow(0, first, rows).copy_(at::mm(noise, teacher.t()).argmax(1));
    const double* e = noise.data_ptr<double>();
    for (std::int64_t i = 0; i < rows; ++i) {
      double x = e[i * features];
      for (std::int64_t j = 0; j < features; ++j) {
        if (j > 0) x = options.correlation * x + fresh * e[i * features + j];
        pixels[(first + i) * features + j] = pixel(x);
      }
    }
  }
  return result;
}

}  // namespace decorr::data
