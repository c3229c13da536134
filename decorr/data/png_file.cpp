#include "decorr/data/png_file.h"

#include "decorr/core/check.h"

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <png.h>
#include <vector>

namespace decorr::data {
namespace {

// What libpng reads from, and where it reports an error before it jumps back.
struct PngSource {
  std::string_view bytes;
  std::size_t position = 0;
  std::array<char, 128> reason{};
};

void read_bytes(png_structp png, png_bytep target, std::size_t count) {
  auto& source = *static_cast<PngSource*>(png_get_io_ptr(png));
  if (count > source.bytes.size() - source.position) png_error(png, "it ends early");
  std::memcpy(target, source.bytes.data() + source.position, count);
  source.position += count;
}

void fail_png(png_structp png, png_const_charp reason) {
  auto& source = *static_cast<PngSource*>(png_get_error_ptr(png));
  std::snprintf(source.reason.data(), source.reason.size(), "%s", reason);
  png_longjmp(png, 1);
}

void ignore(png_structp, png_const_charp) {}

// A file that is being read. The functions that may jump hold nothing that needs a destructor.
class PngDecoder {
 public:
  PngDecoder(std::string_view bytes, const std::string& name) : name_(name) {
    source_.bytes = bytes;
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source_, fail_png, ignore);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) png_destroy_read_struct(&png_, nullptr, nullptr);
    check_runtime(info_ != nullptr, "[read_png] out of memory; free some");
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  ImageHeader header() {
    if (!read_info()) refuse();
    return {png_get_image_height(png_, info_), png_get_image_width(png_, info_),
            (png_get_color_type(png_, info_) & PNG_COLOR_MASK_COLOR) != 0};
  }

  // After header(): the pixels with `channels` numbers each.
  void decode(const ImageHeader& header, std::int64_t channels, std::uint8_t* pixels) {
    std::vector<png_bytep> rows;
    for (std::int64_t y = 0; y < header.height; ++y)
      rows.push_back(pixels + y * header.width * channels);
    if (!read_rows(channels, header.width, rows.data())) refuse();
  }

 private:
  bool read_info() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, &source_, read_bytes);
    png_read_info(png_, info_);
    return true;
  }

  bool read_rows(std::int64_t channels, std::int64_t width, png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    const int type = png_get_color_type(png_, info_);
    png_set_strip_16(png_);
    png_set_packing(png_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_alpha(png_);
    if ((type & PNG_COLOR_MASK_COLOR) == 0 && channels == 3) png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != static_cast<std::size_t>(width * channels))
      png_error(png_, "its pixels are of an unknown kind");
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  [[noreturn]] void refuse() const {
    throw std::runtime_error(
        fmt::format("[read_png] {} is cut off or damaged ({}); get it anew or remove it", name_,
                    source_.reason.data()));
  }

  const std::string& name_;
  PngSource source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

ImageHeader read_png_header(std::string_view bytes, const std::string& name) {
  return PngDecoder(bytes, name).header();
}

void decode_png(std::string_view bytes, const std::string& name, std::int64_t channels,
                std::uint8_t* pixels) {
  PngDecoder decoder(bytes, name);
  const ImageHeader header = decoder.header();
  decoder.decode(header, channels, pixels);
}

}  // namespace decorr::data
