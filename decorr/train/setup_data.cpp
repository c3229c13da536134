// The data of a run as its configuration describes them.
#include "decorr/core/check.h"
#include "decorr/data/registry.h"
#include "decorr/train/setup.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

namespace decorr::train {
namespace {

std::uint32_t checksum(std::uint32_t value, const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.contiguous();
  return static_cast<std::uint32_t>(
      crc32_z(value, static_cast<const Bytef*>(bytes.data_ptr()), bytes.nbytes()));
}

data::LoadOptions load_options(const Config& config) {
  data::LoadOptions options;
  options.root = config.data.root;
  options.images.image_size = config.data.image_size;
  options.images.skip_corrupt = config.data.corrupt == "skip";
  options.gaussian = config.data.gaussian;
  options.gaussian.seed = static_cast<std::uint64_t>(config.seed);
  return options;
}

void check_same_shape(const data::Dataset& train, const data::Dataset& test) {
  const at::IntArrayRef trained = train.images.sizes().slice(1),
                        tested = test.images.sizes().slice(1);
  check_runtime(trained == tested,
                "[data] images to train and to test must have one shape, those of {} have [{}] and "
                "[{}]; make them alike",
                train.name, fmt::join(trained, ", "), fmt::join(tested, ", "));
}

void check_channels(const std::vector<double>& numbers, const std::string& key,
                    const data::Dataset& dataset) {
  const auto channels = static_cast<std::size_t>(dataset.images.size(1));
  if (numbers.empty() || numbers.size() == channels) return;
  throw ConfigError(fmt::format("data.{} must have a number for each channel of {}, {}, got {}",
                                key, dataset.name, channels, numbers.size()),
                    fmt::format("data.{} = [{}]", key, fmt::join(numbers, ", ")),
                    fmt::format("give {} of them, or data.{} = [] to measure", channels, key));
}

// What `config` gives, and what it leaves open as it is in the images that are trained on.
data::Normalization normalization(const DataConfig& config, const data::Dataset& train) {
  if (!config.normalize) return {};
  check_channels(config.mean, "mean", train);
  check_channels(config.std, "std", train);
  data::Normalization result{config.mean, config.std};
  if (!result.mean.empty() && !result.std.empty()) return result;
  data::Normalization measured = data::measure(train);
  if (result.mean.empty()) result.mean = std::move(measured.mean);
  if (result.std.empty()) result.std = std::move(measured.std);
  return result;
}

}  // namespace

Datasets load_datasets(const Config& config, const std::function<bool()>& interrupted) {
  data::LoadOptions options = load_options(config);
  options.images.should_stop = interrupted;
  Datasets result;
  result.train = data::load(config.data.name, "train", options);
  result.test = data::load(config.data.name, "test", options);
  check_same_shape(result.train, result.test);
  if (config.data.validation > 0) {
    auto [train, validation] = data::split_validation(result.train, config.data.validation,
                                                      static_cast<std::uint64_t>(config.seed));
    result.train = std::move(train);
    result.validation = std::move(validation);
  }
  result.normalization = normalization(config.data, result.train);
  return result;
}

nn::ImageShape input_shape(const Config& config, const data::Dataset& dataset) {
  nn::ImageShape shape{dataset.images.size(1), dataset.images.size(2), dataset.images.size(3)};
  const std::int64_t crop = config.data.crop_size;
  if (crop == 0) return shape;
  if (crop > std::min(shape.height, shape.width))
    throw ConfigError(fmt::format("images of {} are {} x {}, too small for crops of {} x {}",
                                  dataset.name, shape.height, shape.width, crop, crop),
                      fmt::format("data.crop_size = {}", crop),
                      fmt::format("set it to {} or less, or 0 for whole images",
                                  std::min(shape.height, shape.width)));
  shape.height = shape.width = crop;
  return shape;
}

std::uint32_t fingerprint(const data::Dataset& dataset) {
  return checksum(checksum(0, dataset.images), dataset.labels);
}

at::ScalarType number_type(const Config& config) {
  return config.train.precision == "float64" ? at::kDouble : at::kFloat;
}

data::LoaderOptions training_loader(const Config& config,
                                    const data::Normalization& normalization) {
  data::AugmentOptions augment;
  augment.crop_padding = config.data.crop_padding;
  augment.crop_size = config.data.crop_size;
  augment.flip = config.data.flip;
  return data::LoaderOptions()
      .batch_size(config.train.batch_size)
      .shuffle(true)
      .drop_last(config.data.drop_last)
      .seed(static_cast<std::uint64_t>(config.seed))
      .augment(augment)
      .normalization(normalization)
      .prefetch(config.data.prefetch)
      .dtype(number_type(config));
}

data::LoaderOptions evaluation_loader(const Config& config,
                                      const data::Normalization& normalization) {
  data::AugmentOptions crop;
  crop.crop_size = config.data.crop_size;
  crop.centre_crop = true;
  return data::LoaderOptions()
      .batch_size(config.train.eval_batch_size)
      .shuffle(false)
      .augment(crop)
      .normalization(normalization)
      .prefetch(config.data.prefetch)
      .dtype(number_type(config));
}

}  // namespace decorr::train
