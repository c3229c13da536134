#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace decorr::data {

/// Labelled images in memory.
struct Dataset {
  std::string name;                  ///< name in the registry, e.g. `fashion-mnist`
  at::Tensor images;                 ///< uint8 [N, C, H, W] on the CPU, a value 0 … 255
  at::Tensor labels;                 ///< int64 [N] on the CPU, in [0, classes.size())
  std::vector<std::string> classes;  ///< name of each class

  /// Number of images N.
  std::int64_t size() const;

  /// The images and labels at `indices` (each in [0, N), in that order), copied. Throws
  /// `std::invalid_argument` naming an index that is out of range.
  Dataset subset(const std::vector<std::int64_t>& indices) const;

  /// Throws `std::invalid_argument` unless types and shapes are as above, there are as many labels
  /// as images, and every label names a class. N may be 0.
  void validate() const;
};

/// Splits off `validation_count` images drawn without replacement by `seed`.
///
/// Returns {training part, validation part}: disjoint, together the whole dataset, each in the
/// order of `dataset`. Throws `std::invalid_argument` unless 1 <= validation_count < N.
std::pair<Dataset, Dataset> split_validation(const Dataset& dataset, std::int64_t validation_count,
                                             std::uint64_t seed);

}  // namespace decorr::data
