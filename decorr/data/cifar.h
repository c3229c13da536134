#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
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

/// The same for CIFAR-100, whose records of 3074 bytes begin with a coarse label 0 … 19 and a fine
/// label 0 … 99; the fine one is returned.
std::pair<at::Tensor, at::Tensor> read_cifar100(const std::string& path);

/// read_cifar10() from the decompressed `bytes` of a file that errors call `name`.
std::pair<at::Tensor, at::Tensor> parse_cifar10(std::string_view bytes, const std::string& name);

/// read_cifar100() likewise.
std::pair<at::Tensor, at::Tensor> parse_cifar100(std::string_view bytes, const std::string& name);

}  // namespace decorr::data
