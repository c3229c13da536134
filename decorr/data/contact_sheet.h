#pragma once

#include "decorr/data/dataset.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace decorr::data {

/// One picture of many images: a row for each of the first `rows` classes, in it the first
/// `columns` images of that class, black where there are fewer, on a grey ground. Small images are
/// magnified by a whole factor to about 64 pixels.
///
/// Returns uint8 [C, H, W], C as in `dataset` or, unless that is 1 or 3, 1 for the first channel.
/// Throws `std::invalid_argument` for a malformed or empty dataset, or less than one row or column.
at::Tensor contact_sheet(const Dataset& dataset, std::int64_t rows = 20, std::int64_t columns = 12);

}  // namespace decorr::data
