#include "decorr/data/jpeg.h"

#include "decorr/core/check.h"

#include <memory>
#include <turbojpeg.h>

namespace decorr::data {
namespace {

struct JpegCloser {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using JpegDecoder = std::unique_ptr<void, JpegCloser>;

JpegDecoder make_jpeg_decoder() {
  JpegDecoder decoder(tjInitDecompress());
  check_runtime(decoder != nullptr, "[read_jpeg] out of memory; free some");
  return decoder;
}

const unsigned char* data_of(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

[[noreturn]] void refuse_jpeg(const std::string& name, const char* reason) {
  throw std::runtime_error(fmt::format(
      "[read_jpeg] {} is cut off or damaged ({}); get it anew or remove it", name, reason));
}

ImageHeader read_header(const JpegDecoder& decoder, std::string_view bytes,
                        const std::string& name) {
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), data_of(bytes), bytes.size(), &width, &height,
                          &subsampling, &colours) != 0)
    refuse_jpeg(name, tjGetErrorStr2(decoder.get()));
  // What is cut off within its header can pass for a file of tables alone.
  if (width < 1 || height < 1) refuse_jpeg(name, "it ends before the image");
  check_runtime(colours != TJCS_CMYK && colours != TJCS_YCCK,
                "[read_jpeg] {} is in CMYK; convert it to RGB", name);
  return {height, width, colours != TJCS_GRAY};
}

}  // namespace

ImageHeader read_jpeg_header(std::string_view bytes, const std::string& name) {
  return read_header(make_jpeg_decoder(), bytes, name);
}

void decode_jpeg(std::string_view bytes, const std::string& name, std::int64_t channels,
                 std::uint8_t* pixels) {
  const JpegDecoder decoder = make_jpeg_decoder();
  const ImageHeader header = read_header(decoder, bytes, name);
  if (tjDecompress2(decoder.get(), data_of(bytes), bytes.size(), pixels,
                    static_cast<int>(header.width), 0, static_cast<int>(header.height),
                    channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT) != 0)
    // Every warning counts: only the first one is told, and a harmless one may hide another.
    refuse_jpeg(name, tjGetErrorStr2(decoder.get()));
}

}  // namespace decorr::data
