#include "decorr/data/image_file.h"

#include "decorr/core/check.h"
#include "decorr/data/image_size.h"
#include "decorr/data/jpeg.h"
#include "decorr/data/png_file.h"
#include "decorr/io/atomic_file.h"

#include <ATen/ATen.h>

#include <cstring>
#include <png.h>
#include <vector>

namespace decorr::data {
namespace {

bool starts_with(std::string_view bytes, std::string_view start) {
  return bytes.substr(0, start.size()) == start;
}

bool is_jpeg(std::string_view bytes) { return starts_with(bytes, "\xFF\xD8\xFF"); }
bool is_png(std::string_view bytes) { return starts_with(bytes, "\x89PNG\r\n\x1A\n"); }

}  // namespace

ImageHeader read_image_header(std::string_view bytes, const std::string& name) {
  check_runtime(is_jpeg(bytes) || is_png(bytes),
                "[read_image] {} is neither a JPEG nor a PNG file; convert or remove it", name);
  const ImageHeader header =
      is_jpeg(bytes) ? read_jpeg_header(bytes, name) : read_png_header(bytes, name);
  for (const std::int64_t side : {header.height, header.width})
    check_runtime(side >= 1 && side <= kLargestSide,
                  "[read_image] {} has a side of {} pixels, expected 1 to {}; scale or remove it",
                  name, side, kLargestSide);
  return header;
}

at::Tensor decode_image(std::string_view bytes, const std::string& name, std::int64_t channels) {
  check_argument(channels == 1 || channels == 3, "[decode_image] channels must be 1 or 3, got {}",
                 channels);
  const ImageHeader header = read_image_header(bytes, name);
  check_argument(channels == 3 || !header.colour,
                 "[decode_image] {} is in colour, channels must be 3, got 1", name);
  const at::Tensor pixels = at::empty({header.height, header.width, channels}, at::kByte);
  (is_jpeg(bytes) ? decode_jpeg : decode_png)(bytes, name, channels,
                                              pixels.data_ptr<std::uint8_t>());
  return pixels.permute({2, 0, 1}).contiguous();
}

void write_png(const std::filesystem::path& path, const at::Tensor& image) {
  check_argument(image.scalar_type() == at::kByte && image.dim() == 3 &&
                     (image.size(0) == 1 || image.size(0) == 3) && image.numel() > 0,
                 "[write_png] image must be uint8 [1 or 3, H, W] and not empty, got {} {}",
                 c10::toString(image.scalar_type()), image.sizes().vec());
  const at::Tensor pixels = image.cpu().permute({1, 2, 0}).contiguous();
  png_image header;
  std::memset(&header, 0, sizeof header);
  header.version = PNG_IMAGE_VERSION;
  header.height = static_cast<png_uint_32>(image.size(1));
  header.width = static_cast<png_uint_32>(image.size(2));
  header.format = image.size(0) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  // Deflate makes incompressible data hardly longer; a row has a byte of its own.
  std::vector<char> bytes(static_cast<std::size_t>(PNG_IMAGE_PNG_SIZE_MAX(header)));
  png_alloc_size_t size = bytes.size();
  check_runtime(png_image_write_to_memory(&header, bytes.data(), &size, 0,
                                          pixels.data_ptr<std::uint8_t>(), 0, nullptr) != 0,
                "[write_png] cannot compress {}: {}; free memory or write a smaller image",
                path.string(), header.message);
  io::write_file_atomically(path, {bytes.data(), size});
}

}  // namespace decorr::data
