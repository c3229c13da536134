#pragma once

#include "decorr/data/dataset.h"
#include "decorr/data/prefetch.h"
#include "decorr/data/transform.h"

#include <c10/core/ScalarType.h>
#include <torch/arg.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace decorr::data {

/// Settings of a Loader.
struct LoaderOptions {
  /// Images in a batch, >= 1.
  TORCH_ARG(std::int64_t, batch_size) = 256;
  /// A new order every epoch; otherwise the order of the dataset.
  TORCH_ARG(bool, shuffle) = true;
  /// Leave out a last batch that would be smaller than the others.
  TORCH_ARG(bool, drop_last) = false;
  /// Seed of the order and of the augmentation.
  TORCH_ARG(std::uint64_t, seed) = 0;
  /// Crop and flip; none by default.
  TORCH_ARG(AugmentOptions, augment);
  /// Shift and scale per channel; pixel / 255 by default.
  TORCH_ARG(Normalization, normalization);
  /// Batches made ahead of the one asked for, >= 1. Changes no batch.
  TORCH_ARG(std::int64_t, prefetch) = 2;
  /// Type of Batch::input: float32 or float64.
  TORCH_ARG(at::ScalarType, dtype) = at::kFloat;
};

/// Batches of a dataset, epoch by epoch, made ahead of time on a thread of its own.
///
/// ```
/// loader.start(epoch);
/// for (Batch batch; loader.next(batch);) step(batch.input, batch.target);
/// ```
///
/// The batches of an epoch depend on the dataset, the settings (but for `prefetch`) and the epoch's
/// number alone: start(e, k) yields what start(e) yields from batch k on. With `shuffle` the order
/// is `RandomStream(seed, "shuffle").at(epoch).permutation(N)`. A Loader is used by one thread.
class Loader {
 public:
  /// Shares the tensors of `dataset`, which must not change while the loader is in use. Throws
  /// `std::invalid_argument` for an empty or malformed dataset, a setting that is out of its range,
  /// or settings that leave no batch.
  Loader(Dataset dataset, const LoaderOptions& options);

  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Batches in an epoch.
  std::int64_t batches() const;

  /// Begins epoch `epoch` >= 0 at batch `first_batch` in [0, batches()]; an epoch under way is
  /// dropped. Throws `std::invalid_argument` when a number is out of its range.
  void start(std::int64_t epoch, std::int64_t first_batch = 0);

  /// Moves the epoch's next batch into `batch`; false, and `batch` untouched, at its end. Throws
  /// `std::invalid_argument` before start(), and whatever stopped the loader's thread.
  bool next(Batch& batch);

 private:
  Batch make(const std::vector<std::int64_t>& order, std::int64_t epoch, std::int64_t index) const;

  Dataset dataset_;
  LoaderOptions options_;
  Transform transform_;
  std::unique_ptr<Prefetcher> prefetcher_;  // last: its thread uses the members above
};

}  // namespace decorr::data
