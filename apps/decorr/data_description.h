#pragma once

#include "decorr/data/dataset.h"

#include <string>

namespace decorr::app {

/// Prints the part `split` of a dataset to stdout: number and sizes of its images, mean and
/// standard deviation of each channel, and how many images each class has; of more than 20 classes
/// the fewest, the median and the most, and the five classes at either end.
void describe(const std::string& split, const data::Dataset& dataset);

}  // namespace decorr::app
