#pragma once

#include "decorr/train/config.h"

#include <cstdint>
#include <string>
#include <vector>

/// The networks that are timed: those of Ahmad, Correlations Are Ruining Your Gradient Descent
/// (CRGD), for CIFAR-10.
namespace decorr::bench {

/// Names that network_config() takes: `mlp` and `convnet`.
std::vector<std::string> networks();

/// Number types that the networks are timed in, as the key `train.precision` names them.
std::vector<std::string> precisions();

/// `size` / `scale`, but not less than `least`: `--scale` makes benchmarks small for quick checks.
std::int64_t scaled(std::int64_t size, std::int64_t scale, std::int64_t least = 1);

/// The training of network `name` on 3 x 32 x 32 images with preset `default`, batch size and
/// Adam's settings as in the authors' code, widths and batch divided by `scale`.
///
/// `mlp`: dense layers 3072, 4 x 1000, 10, batches of 256. `convnet`: convolutions of 32, 32, 64
/// and 64 channels, each pair followed by pooling, dense layers of 1000 and 10, batches of 128.
/// Throws `std::invalid_argument` for another name.
train::Config network_config(const std::string& name, std::int64_t scale = 1);

/// The same training without decorrelation.
train::Config plain(train::Config config);

}  // namespace decorr::bench
