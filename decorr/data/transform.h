#pragma once

#include "decorr/core/random.h"
#include "decorr/data/dataset.h"

#include <cstdint>
#include <vector>

namespace decorr::data {

/// Shift and scale per channel, in units of pixel / 255: value = (pixel / 255 - mean) / std.
///
/// Without any channels (the default) the value is pixel / 255 itself, in [0, 1].
struct Normalization {
  std::vector<double> mean;  ///< one a channel
  std::vector<double> std;   ///< one a channel, > 0

  /// Throws `std::invalid_argument` unless both lists are empty or have `channels` finite entries
  /// with every std above 0.
  void validate(std::int64_t channels) const;
};

/// Mean and standard deviation (of the population) of every channel over all pixels.
///
/// Sums are exact integers, so the result does not depend on order, threads or machine. A channel
/// of one single value gets std 1. Throws `std::invalid_argument` for an empty or malformed
/// dataset.
Normalization measure(const Dataset& dataset);

/// Crops and random changes of images; the default changes nothing.
struct AugmentOptions {
  /// Pixels of raw value 0 put around the image before it is cropped; from 0 to one less than the
  /// image's shorter side.
  std::int64_t crop_padding = 0;
  /// Mirror the columns with probability 1/2, after the crop.
  bool flip = false;
  /// Height and width of the crop, at most the image's shorter side; 0: those of the image.
  std::int64_t crop_size = 0;
  /// Take the crop from the middle (rounded up and left), not from a uniformly drawn position.
  bool centre_crop = false;

  /// Throws `std::invalid_argument` when a crop does not fit images of `height` x `width`.
  void validate(std::int64_t height, std::int64_t width) const;
};

/// Turns raw images into a network's input: augmentation, then normalization.
///
/// What is drawn for an image depends on the seed, the epoch and the image's index alone: not on
/// its batch, on threads, or on whether a run was resumed.
class Transform {
 public:
  /// For images [`channels`, `height`, `width`]. Throws `std::invalid_argument` when a size is not
  /// positive or a setting does not fit the sizes.
  Transform(std::int64_t channels, std::int64_t height, std::int64_t width,
            const Normalization& normalization, const AugmentOptions& augment, std::uint64_t seed);

  /// Height of the images that write() makes.
  std::int64_t output_height() const { return output_height_; }
  /// Width of the images that write() makes.
  std::int64_t output_width() const { return output_width_; }

  /// Writes one image.
  ///
  /// `image` points to channels·height·width raw pixels in row-major order, `output` to
  /// channels·output_height()·output_width() numbers of type `Scalar`, which is float or double;
  /// `index` is the image's place in its dataset.
  template <typename Scalar>
  void write(const std::uint8_t* image, std::int64_t epoch, std::int64_t index,
             Scalar* output) const;

 private:
  // Where the output lies in the raw image: pixel (y, x) comes from (y + top, x + left), then the
  // columns are mirrored if `flip`.
  struct Placement {
    std::int64_t top = 0;
    std::int64_t left = 0;
    bool flip = false;
  };
  Placement draw(std::int64_t epoch, std::int64_t index) const;

  std::int64_t channels_;
  std::int64_t height_;
  std::int64_t width_;
  AugmentOptions augment_;
  std::int64_t output_height_;
  std::int64_t output_width_;
  RandomStream stream_;
  std::vector<double> values_;  // [channels, 256]: the output for each raw value
};

extern template void Transform::write(const std::uint8_t*, std::int64_t, std::int64_t,
                                      float*) const;
extern template void Transform::write(const std::uint8_t*, std::int64_t, std::int64_t,
                                      double*) const;

}  // namespace decorr::data
