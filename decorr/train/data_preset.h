#pragma once

#include "decorr/train/config.h"

#include <string>
#include <vector>

// Settings of `[data]` that others have published. Internal to train/: not installed.
namespace decorr::train {

/// The datasets that have a preset `published`.
std::vector<std::string> datasets_with_preset();

/// Gives `data` the settings that the authors' code of CRGD uses for the dataset `data.name`:
///   - `cifar10`, `cifar100`: random crops with padding 4, mirroring, and a mean and a standard
///     deviation for each channel;
///   - `tiny-imagenet`: crops of 56 x 56, random without padding to train and from the middle to
///     evaluate, mirroring, mean and standard deviation as measured.
/// Source: https://github.com/nasiryahm/CorrelationsRuinGD. The dataset must be one of
/// datasets_with_preset().
void apply_published_preset(DataConfig& data);

}  // namespace decorr::train
