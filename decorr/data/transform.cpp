#include "decorr/data/transform.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace decorr::data {
namespace {

constexpr std::int64_t kLevels = 256;

// Large enough for count · Σ pixel² of any dataset that fits into memory.
__extension__ using Wide = unsigned __int128;

}  // namespace

void Normalization::validate(std::int64_t channels) const {
  if (mean.empty() && std.empty()) return;
  const auto count = static_cast<std::size_t>(channels);
  check_argument(mean.size() == count && std.size() == count,
                 "[Normalization] mean and std must have {} entries, one a channel, got {} and {}",
                 channels, mean.size(), std.size());
  for (std::size_t c = 0; c < count; ++c) {
    check_argument(std::isfinite(mean[c]), "[Normalization] mean must be finite, got {}", mean[c]);
    check_argument(std::isfinite(std[c]) && std[c] > 0.0,
                   "[Normalization] std must be finite and above 0, got {}", std[c]);
  }
}

Normalization measure(const Dataset& dataset) {
  dataset.validate();
  check_argument(dataset.size() > 0, "[measure] dataset '{}' must have at least one image, got 0",
                 dataset.name);
  const at::Tensor images = dataset.images.contiguous();
  const std::int64_t channels = images.size(1);
  const std::int64_t plane = images.size(2) * images.size(3);
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(channels));
  std::vector<std::uint64_t> squares(sums.size());
  const std::uint8_t* pixels = images.data_ptr<std::uint8_t>();
  for (std::int64_t image = 0; image < images.size(0); ++image) {
    for (std::size_t c = 0; c < sums.size(); ++c, pixels += plane) {
      std::uint64_t sum = 0;
      std::uint64_t square = 0;
      for (std::int64_t i = 0; i < plane; ++i) {
        const std::uint32_t pixel = pixels[i];
        sum += pixel;
        square += pixel * pixel;
      }
      sums[c] += sum;
      squares[c] += square;
    }
  }

  Normalization result;
  const auto count = static_cast<std::uint64_t>(images.size(0) * plane);
  const double unit = 255.0 * static_cast<double>(count);
  for (std::size_t c = 0; c < sums.size(); ++c) {
    // count² times the variance, free of cancellation: zero exactly when the channel is constant.
    const Wide spread = Wide{count} * squares[c] - Wide{sums[c]} * sums[c];
    result.mean.push_back(static_cast<double>(sums[c]) / unit);
    result.std.push_back(spread == 0 ? 1.0 : std::sqrt(static_cast<double>(spread)) / unit);
  }
  return result;
}

void AugmentOptions::validate(std::int64_t height, std::int64_t width) const {
  const std::int64_t most = std::min(height, width) - 1;
  check_argument(crop_padding >= 0 && crop_padding <= most,
                 "[AugmentOptions] crop_padding must be in [0, {}] for {}x{} images, got {}", most,
                 height, width, crop_padding);
  check_argument(crop_size >= 0 && crop_size <= most + 1,
                 "[AugmentOptions] crop_size must be in [0, {}] for {}x{} images, got {}", most + 1,
                 height, width, crop_size);
}

Transform::Transform(std::int64_t channels, std::int64_t height, std::int64_t width,
                     const Normalization& normalization, const AugmentOptions& augment,
                     std::uint64_t seed)
    : channels_(channels),
      height_(height),
      width_(width),
      augment_(augment),
      output_height_(augment.crop_size > 0 ? augment.crop_size : height),
      output_width_(augment.crop_size > 0 ? augment.crop_size : width),
      stream_(seed, "augment") {
  check_argument(channels >= 1 && height >= 1 && width >= 1,
                 "[Transform] images must have at least one channel, row and column, got "
                 "[{}, {}, {}]",
                 channels, height, width);
  normalization.validate(channels);
  augment.validate(height, width);
  values_.reserve(static_cast<std::size_t>(channels * kLevels));
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    const double mean = normalization.mean.empty() ? 0.0 : normalization.mean[c];
    const double std = normalization.std.empty() ? 1.0 : normalization.std[c];
    for (std::int64_t level = 0; level < kLevels; ++level)
      values_.push_back((static_cast<double>(level) / 255.0 - mean) / std);
  }
}

Transform::Placement Transform::draw(std::int64_t epoch, std::int64_t index) const {
  Placement place;
  const std::int64_t padding = augment_.crop_padding;
  const std::int64_t spare_height = height_ - output_height_;
  const std::int64_t spare_width = width_ - output_width_;
  place.top = spare_height / 2;
  place.left = spare_width / 2;
  const bool random_crop = !augment_.centre_crop && padding + spare_height + spare_width > 0;
  if (!random_crop && !augment_.flip) return place;
  const RandomStream stream =
      stream_.at(static_cast<std::uint64_t>(epoch)).at(static_cast<std::uint64_t>(index));
  // Each quantity has its own position: switching one on or off leaves the others as they were.
  if (random_crop) {
    const auto offset = [&](std::int64_t spare, std::uint64_t position) {
      const auto offsets = static_cast<std::uint64_t>(2 * padding + spare + 1);
      return static_cast<std::int64_t>(stream.below(offsets, position)) - padding;
    };
    place.top = offset(spare_height, 0);
    place.left = offset(spare_width, 1);
  }
  place.flip = augment_.flip && stream.below(2, 2) == 1;
  return place;
}

template <typename Scalar>
void Transform::write(const std::uint8_t* image, std::int64_t epoch, std::int64_t index,
                      Scalar* output) const {
  const Placement place = draw(epoch, index);
  // Columns of the crop that lie inside the raw image.
  const std::int64_t first = std::max<std::int64_t>(0, -place.left);
  const std::int64_t last = std::min(output_width_, width_ - place.left);
  for (std::int64_t c = 0; c < channels_; ++c) {
    const double* values = values_.data() + c * kLevels;
    const auto padding = static_cast<Scalar>(values[0]);
    for (std::int64_t y = 0; y < output_height_; ++y, output += output_width_) {
      const std::int64_t source_y = y + place.top;
      const bool inside = source_y >= 0 && source_y < height_;
      if (!inside || last - first < output_width_) std::fill_n(output, output_width_, padding);
      if (!inside) continue;
      const std::uint8_t* row = image + (c * height_ + source_y) * width_;
      if (place.flip) {
        for (std::int64_t x = first; x < last; ++x)
          output[output_width_ - 1 - x] = static_cast<Scalar>(values[row[x + place.left]]);
      } else {
        for (std::int64_t x = first; x < last; ++x)
          output[x] = static_cast<Scalar>(values[row[x + place.left]]);
      }
    }
  }
}

template void Transform::write(const std::uint8_t*, std::int64_t, std::int64_t, float*) const;
template void Transform::write(const std::uint8_t*, std::int64_t, std::int64_t, double*) const;

}  // namespace decorr::data
