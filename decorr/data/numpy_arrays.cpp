#include "decorr/data/numpy_arrays.h"

#include "decorr/core/check.h"
#include "decorr/data/archive.h"
#include "decorr/data/npy.h"
#include "decorr/data/source.h"
#include "decorr/io/atomic_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostClasses = 1 << 16;

const std::vector<std::string>& long_names() {
  static const std::vector<std::string> names{"train_images.npy", "train_labels.npy",
                                              "test_images.npy", "test_labels.npy"};
  return names;
}

const std::vector<std::string>& short_names() {
  static const std::vector<std::string> names{"x_train.npy", "y_train.npy", "x_test.npy",
                                              "y_test.npy"};
  return names;
}

struct Array {
  std::string name;  // for messages
  at::Tensor values;
};

// The arrays of one dataset: images to train, their labels, images to test, their labels. Images of
// the part that is not wanted are not read.
std::vector<Array> read_arrays(const fs::path& place, const std::string& split) {
  std::map<std::string, std::string> files;
  const auto wanted = [&](const std::string& file) {
    for (const auto* names : {&long_names(), &short_names()}) {
      const auto found = std::find(names->begin(), names->end(), file);
      if (found == names->end()) continue;
      const auto number = found - names->begin();
      return number % 2 == 1 || number == (split == "train" ? 0 : 2);
    }
    return false;
  };
  std::error_code ignored;
  const bool folder = fs::is_directory(place, ignored);
  if (folder) {
    for (const auto* names : {&long_names(), &short_names()})
      for (const std::string& file : *names)
        if (wanted(file) && fs::exists(place / file, ignored))
          files[file] = io::read_file(place / file);
  } else {
    files = read_zip(place.string(), wanted);
  }
  // Of both kinds of names the long ones count: another array may be called `y_train` by chance.
  const bool is_long = files.count(long_names()[1]) > 0 && files.count(long_names()[3]) > 0;
  const bool is_short =
      !is_long && (files.count(short_names()[1]) > 0 || files.count(short_names()[3]) > 0);
  std::vector<Array> arrays;
  for (const std::string& file : is_short ? short_names() : long_names()) {
    const std::string name = file.substr(0, file.size() - 4);
    if (!wanted(file)) {
      arrays.emplace_back();
      continue;
    }
    check_runtime(files.count(file) > 0,
                  "[numpy] {} has no array {}; save train_images, train_labels, test_images and "
                  "test_labels with numpy.savez",
                  place.string(), name);
    const std::string shown =
        folder ? (place / file).string() : fmt::format("{} in {}", name, place.string());
    arrays.push_back({shown, parse_npy(files[file], shown)});
  }
  return arrays;
}

at::Tensor to_images(const Array& array) {
  at::Tensor images = array.values;
  check_runtime(images.scalar_type() != at::kBool,
                "[numpy] {} must be uint8, 0 to 255, got bool; convert it with "
                "astype(\"uint8\") * 255",
                array.name);
  check_runtime(images.scalar_type() == at::kByte,
                "[numpy] {} must be uint8, 0 to 255, got another integer type; convert it with "
                "astype(\"uint8\")",
                array.name);
  const auto channels = [&](std::int64_t axis) {
    return images.dim() == 4 && (images.size(axis) == 1 || images.size(axis) == 3);
  };
  if (images.dim() == 3) {
    images = images.unsqueeze(1);
  } else if (channels(3)) {
    images = images.permute({0, 3, 1, 2}).contiguous();
  } else {
    check_runtime(channels(1),
                  "[numpy] {} must be [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3, got "
                  "[{}]",
                  array.name, fmt::join(images.sizes(), ", "));
  }
  check_runtime(images.numel() > 0, "[numpy] {} has no images, got [{}]", array.name,
                fmt::join(array.values.sizes(), ", "));
  return images;
}

at::Tensor to_labels(const Array& array) {
  at::Tensor labels = array.values.to(at::kLong);
  if (labels.dim() == 2 && labels.size(1) == 1) labels = labels.squeeze(1);
  check_runtime(labels.dim() == 1 && labels.numel() > 0,
                "[numpy] {} must be [N] or [N, 1] with a label for each image, got [{}]",
                array.name, fmt::join(array.values.sizes(), ", "));
  for (const std::int64_t label :
       {labels.min().item<std::int64_t>(), labels.max().item<std::int64_t>()})
    check_runtime(label >= 0 && label < kMostClasses,
                  "[numpy] labels in {} must be 0 to {}, got {}; number the classes from 0",
                  array.name, kMostClasses - 1, label);
  return labels;
}

}  // namespace

Dataset read_numpy(const fs::path& place, const std::string& split) {
  const std::vector<Array> arrays = read_arrays(place, split);
  const std::size_t part = split == "train" ? 0 : 2;
  Dataset result{"numpy", to_images(arrays[part]), to_labels(arrays[part + 1]), {}};
  check_runtime(result.images.size(0) == result.labels.size(0),
                "[numpy] {} has {} images and {} has {} labels; give one for each image",
                arrays[part].name, result.images.size(0), arrays[part + 1].name,
                result.labels.size(0));
  const std::int64_t highest = std::max(to_labels(arrays[1]).max().item<std::int64_t>(),
                                        to_labels(arrays[3]).max().item<std::int64_t>());
  for (std::int64_t i = 0; i <= highest; ++i) result.classes.push_back(std::to_string(i));
  return result;
}

std::string numpy_obstacle(const fs::path& place) {
  std::error_code ignored;
  if (fs::is_regular_file(place, ignored)) return "";
  if (!fs::is_directory(place, ignored)) return "no such file or folder";
  for (const auto* names : {&long_names(), &short_names()})
    if (std::all_of(names->begin(), names->end(),
                    [&](const auto& file) { return fs::exists(place / file, ignored); }))
      return "";
  return fmt::format("lacks some of {}", fmt::join(long_names(), ", "));
}

}  // namespace decorr::data
