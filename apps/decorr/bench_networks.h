#pragma once

#include "decorr/train/config.h"

#include <cstdint>
#include <string>
#include <vector>

/// The networks that are timed: those of Ahmad, Correlations Are Ruining Your Gradient Descent
/// (CRGD), for CIFAR-10.
namespace decorr::bench {

/// Names that network_config() takes: `mlp`, `convnet` and `convolutions`.
std::vector<std::string> networks();

/// Names that set_precision() takes: those of the key `train.precision`, and `decorrelation-bf16`.
std::vector<std::string> precisions();

/// `size` / `scale`, but not less than `least`: `--scale` makes benchmarks small for quick checks.
std::int64_t scaled(std::int64_t size, std::int64_t scale, std::int64_t least = 1);

/// The training of network `name` on 3 x 32 x 32 images with preset `default`, batch size and
/// Adam's settings as in the authors' code, widths and batch divided by `scale`.
///
/// `mlp`: dense layers 3072, 4 x 1000, 10, batches of 256. `convnet`: convolutions of 32, 32, 64
/// and 64 channels, each pair followed by pooling, dense layers of 1000 and 10, batches of 128.
/// `convolutions`: the convolutions of `convnet`, with a plain dense layer of 10 behind them.
/// Throws `std::invalid_argument` for another name.
train::Config network_config(const std::string& name, std::int64_t scale = 1);

/// Lets `config` compute in the number type `precision`; `decorrelation-bf16` is float32 but for
/// the products with R, which round their operands to bfloat16.
void set_precision(train::Config& config, const std::string& precision);

/// The same training without decorrelation.
train::Config plain(train::Config config);

}  // namespace decorr::bench
