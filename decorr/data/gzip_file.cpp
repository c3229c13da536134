#include "decorr/data/gzip_file.h"

#include "decorr/core/check.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace decorr::data {

void GzipFile::Closer::operator()(gzFile_s* file) const { gzclose_r(file); }

GzipFile::GzipFile(std::string operation, std::string path)
    : operation_(std::move(operation)), path_(std::move(path)) {
  errno = 0;
  file_.reset(gzopen(path_.c_str(), "rb"));
  check_runtime(file_ != nullptr, "[{}] cannot open {}: {}; check the path", operation_, path_,
                errno != 0 ? std::strerror(errno) : "out of memory");
}

std::size_t GzipFile::read(std::uint8_t* target, std::size_t count) {
  const int got = gzread(file_.get(), target, static_cast<unsigned>(count));
  int code = Z_OK;
  const char* reason = gzerror(file_.get(), &code);
  // A gzip stream that ends early is no failure to gzread(), only to gzerror().
  check_runtime(got >= 0 && code == Z_OK,
                "[{}] cannot read {} ({}); check the file, or download it again", operation_, path_,
                reason);
  return static_cast<std::size_t>(got);
}

std::string GzipFile::read_rest() {
  constexpr std::size_t kChunk = std::size_t{1} << 20;
  std::string bytes;
  std::size_t size = 0;
  for (;;) {
    bytes.resize(size + kChunk);
    const std::size_t got = read(reinterpret_cast<std::uint8_t*>(bytes.data()) + size, kChunk);
    size += got;
    if (got < kChunk) break;
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace decorr::data
