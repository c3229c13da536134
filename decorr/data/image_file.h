#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace decorr::data {

/// What the header of an image file says.
struct ImageHeader {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool colour = false;  ///< neither grey nor grey with alpha; a palette counts as colour
};

/// Reads the header of the JPEG or PNG file in `bytes`, told apart by their content.
///
/// Throws `std::runtime_error` naming `name` as the file when it is neither, damaged, or has a side
/// that is not 1 … 16384 pixels, or is a JPEG file in CMYK.
ImageHeader read_image_header(std::string_view bytes, const std::string& name);

/// Decodes that file to uint8 [`channels`, H, W], `channels` being 1 or 3.
///
/// Grey values are repeated for three channels; colour cannot become one channel. An alpha channel
/// is dropped, not blended; of 16 bits the higher 8 are kept. Throws `std::runtime_error` as
/// read_image_header() does, and when the data behind the header are cut off or damaged.
at::Tensor decode_image(std::string_view bytes, const std::string& name, std::int64_t channels);

/// Writes `image`, uint8 [C, H, W] with C 1 or 3, as a PNG file, atomically. Throws
/// `std::invalid_argument` for another type or shape, `std::runtime_error` as
/// io::write_file_atomically() does.
void write_png(const std::filesystem::path& path, const at::Tensor& image);

}  // namespace decorr::data
