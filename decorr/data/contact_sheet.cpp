#include "decorr/data/contact_sheet.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace decorr::data {
namespace {

constexpr std::int64_t kZoomedSide = 64;  // pixels that a magnified image should have about
constexpr std::int64_t kGap = 2;          // pixels between the images
constexpr std::uint8_t kGround = 128;     // grey

}  // namespace

at::Tensor contact_sheet(const Dataset& dataset, std::int64_t rows, std::int64_t columns) {
  dataset.validate();
  check_argument(dataset.size() > 0, "[contact_sheet] dataset '{}' must have at least one image",
                 dataset.name);
  check_argument(rows >= 1 && columns >= 1,
                 "[contact_sheet] rows and columns must be at least 1, got {} and {}", rows,
                 columns);
  rows = std::min(rows, static_cast<std::int64_t>(dataset.classes.size()));
  const std::int64_t channels = dataset.images.size(1) == 3 ? 3 : 1;
  const std::int64_t side = std::max(dataset.images.size(2), dataset.images.size(3));
  const std::int64_t factor = std::max<std::int64_t>(1, (kZoomedSide + side / 2) / side);
  const std::int64_t height = dataset.images.size(2) * factor;
  const std::int64_t width = dataset.images.size(3) * factor;
  const at::Tensor sheet =
      at::full({channels, rows * (height + kGap) + kGap, columns * (width + kGap) + kGap}, kGround,
               at::kByte);
  std::vector<std::int64_t> filled(static_cast<std::size_t>(rows), 0);
  const auto cell = [&](std::int64_t row, std::int64_t column) {
    return sheet.narrow(1, kGap + row * (height + kGap), height)
        .narrow(2, kGap + column * (width + kGap), width);
  };
  const at::Tensor labels = dataset.labels.contiguous();
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const std::int64_t row = labels.data_ptr<std::int64_t>()[i];
    if (row >= rows) continue;
    std::int64_t& column = filled[static_cast<std::size_t>(row)];
    if (column == columns) continue;
    cell(row, column++)
        .copy_(dataset.images[i]
                   .narrow(0, 0, channels)
                   .repeat_interleave(factor, 1)
                   .repeat_interleave(factor, 2));
  }
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = filled[static_cast<std::size_t>(row)]; column < columns; ++column)
      cell(row, column).zero_();
  return sheet;
}

}  // namespace decorr::data
