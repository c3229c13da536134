#pragma once

#include "decorr/data/dataset.h"
#include "decorr/data/prefetch.h"
#include "decorr/train/config.h"

#include <cstdint>
#include <vector>

namespace decorr::bench {

/// `count` random images 3 x 32 x 32 in ten classes, the same on every run: smooth, so that
/// neighbouring pixels and the colours are correlated as those of photographs are.
data::Dataset random_images(std::int64_t count);

/// The batches of the first epoch that `config` trains on, with `dataset` for its data.
std::vector<data::Batch> training_batches(const train::Config& config,
                                          const data::Dataset& dataset);

}  // namespace decorr::bench
