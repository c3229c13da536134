#pragma once

#include "decorr/data/image_file.h"

// JPEG through libturbojpeg. Internal to data/: not installed.
namespace decorr::data {

/// read_image_header() for JPEG.
ImageHeader read_jpeg_header(std::string_view bytes, const std::string& name);

/// Pixels in row-major order, channels of a pixel side by side, into `pixels`, which has room for
/// them.
void decode_jpeg(std::string_view bytes, const std::string& name, std::int64_t channels,
                 std::uint8_t* pixels);

}  // namespace decorr::data
