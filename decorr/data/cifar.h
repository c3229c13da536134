#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>

namespace decorr::data {

/// Reads one file of CIFAR-10's binary version, plain or gzip-compressed.
///
/// The file is a sequence of records of 3073 bytes: a label 0 … 9, then the red, the green and the
/// blue plane of 32x32 pixels in row-major order (https://www.cs.toronto.edu/~kriz/cifar.html). Any
/// number of records from one on is read.
///
/// Returns {images, labels}: uint8 [N, 3, 32, 32], a pixel 0 … 255, and int64 [N]. Throws
/// `std::runtime_error` naming the file when it is missing or cannot be decompressed, when it is
/// empty or not a whole number of records, or when a label is above 9.
std::pair<at::Tensor, at::Tensor> read_cifar10(const std::string& path);

}  // namespace decorr::data
