#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace decorr::data {

/// Reads the images of an IDX file (the format of MNIST), gzip-compressed or plain.
///
/// Returns uint8 [N, 1, H, W], a pixel 0 … 255. Memory grows with the data that is there, not with
/// what the file's header claims. Throws `std::runtime_error` naming the file when it is missing,
/// truncated or too long, when its gzip stream is corrupt, when a name ending in `.gz` is not gzip,
/// when it is not an IDX file of images, or when its sizes are zero or implausible (sides are
/// 1 … 16384 pixels).
at::Tensor read_idx_images(const std::string& path);

/// Reads the labels of an IDX file, gzip-compressed or plain.
///
/// Returns int64 [N]. Throws `std::runtime_error` as read_idx_images() does.
at::Tensor read_idx_labels(const std::string& path);

}  // namespace decorr::data
