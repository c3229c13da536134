#include "decorr/data/dataset.h"

#include "decorr/core/check.h"
#include "decorr/core/random.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace decorr::data {

std::int64_t Dataset::size() const { return images.defined() ? images.size(0) : 0; }

Dataset Dataset::subset(const std::vector<std::int64_t>& indices) const {
  validate();
  for (const std::int64_t index : indices)
    check_argument(index >= 0 && index < size(),
                   "[Dataset] index must be in [0, {}) for dataset '{}', got {}", size(), name,
                   index);
  const at::Tensor rows = at::tensor(indices, at::kLong);
  return {name, images.index_select(0, rows), labels.index_select(0, rows), classes};
}

void Dataset::validate() const {
  check_argument(images.defined() && labels.defined(),
                 "[Dataset] dataset '{}' must have images and labels", name);
  check_argument(images.scalar_type() == at::kByte && images.dim() == 4 && images.is_cpu(),
                 "[Dataset] images of '{}' must be uint8 [N, C, H, W] on the CPU, got {} {} on {}",
                 name, c10::toString(images.scalar_type()), images.sizes().vec(),
                 images.device().str());
  check_argument(images.size(1) >= 1 && images.size(2) >= 1 && images.size(3) >= 1,
                 "[Dataset] images of '{}' must have at least one channel, row and column, got {}",
                 name, images.sizes().vec());
  check_argument(labels.scalar_type() == at::kLong && labels.dim() == 1 && labels.is_cpu(),
                 "[Dataset] labels of '{}' must be int64 [N] on the CPU, got {} {} on {}", name,
                 c10::toString(labels.scalar_type()), labels.sizes().vec(), labels.device().str());
  check_argument(images.size(0) == labels.size(0),
                 "[Dataset] dataset '{}' must have a label for each image, got {} images and {} "
                 "labels",
                 name, images.size(0), labels.size(0));
  if (labels.numel() == 0) return;
  const auto count = static_cast<std::int64_t>(classes.size());
  const auto lowest = labels.min().item<std::int64_t>();
  const auto highest = labels.max().item<std::int64_t>();
  check_argument(lowest >= 0 && highest < count,
                 "[Dataset] labels of '{}' must be in [0, {}), one of its {} classes, got {}", name,
                 count, count, lowest < 0 ? lowest : highest);
}

std::pair<Dataset, Dataset> split_validation(const Dataset& dataset, std::int64_t validation_count,
                                             std::uint64_t seed) {
  const std::int64_t size = dataset.size();
  check_argument(validation_count >= 1 && validation_count < size,
                 "[split_validation] validation_count must be at least 1 and less than the {} "
                 "images of '{}', got {}",
                 size, dataset.name, validation_count);
  std::vector<std::int64_t> order = RandomStream(seed, "validation split").permutation(size);
  const auto middle = order.begin() + validation_count;
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {dataset.subset({middle, order.end()}), dataset.subset({order.begin(), middle})};
}

}  // namespace decorr::data
