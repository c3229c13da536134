#include "decorr/data/idx.h"

#include "decorr/core/check.h"
#include "decorr/data/image_size.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace decorr::data {
namespace {

constexpr std::uint32_t kLabelMagic = 0x00000801;  // unsigned bytes, one dimension
constexpr std::uint32_t kImageMagic = 0x00000803;  // unsigned bytes, three dimensions
constexpr std::int64_t kChunk = 1 << 20;

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

struct IdxFileCloser {
  void operator()(gzFile file) const { gzclose_r(file); }
};

// A file of big-endian words and bytes that zlib decompresses if it has to.
class IdxFile {
 public:
  explicit IdxFile(const std::string& path) : path_(path) {
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rb"));
    check_runtime(file_ != nullptr, "[read_idx] cannot open {}: {}; check the path", path_,
                  errno != 0 ? std::strerror(errno) : "out of memory");
    check_runtime(!ends_with(path_, ".gz") || gzdirect(file_.get()) == 0,
                  "[read_idx] {} is not a gzip file; download it again, or drop .gz from its name "
                  "if it is already decompressed",
                  path_);
  }

  // The number of items, after checking that the file is of the wanted kind.
  std::int64_t read_header(std::uint32_t magic) {
    const std::uint32_t found = read_word();
    check_runtime(found == magic,
                  "[read_idx] {} starts with magic number {:#010x}, {} start with {:#010x}; give "
                  "the file of that kind, or download it again",
                  path_, found, magic == kImageMagic ? "IDX images" : "IDX labels", magic);
    const std::int64_t count = read_word();
    check_runtime(count > 0, "[read_idx] {} holds no items (its header says 0); download it again",
                  path_);
    return count;
  }

  std::int64_t read_side() {
    const std::int64_t side = read_word();
    check_runtime(side >= 1 && side <= kLargestSide,
                  "[read_idx] {} has images with a side of {} pixels, expected 1 to {}; download "
                  "it again",
                  path_, side, kLargestSide);
    return side;
  }

  // The `count` bytes that must be all the rest of the file.
  at::Tensor read_rest(std::int64_t count) {
    std::vector<std::uint8_t> bytes;
    std::int64_t size = 0;
    while (size < count) {
      const std::int64_t wanted = std::min(kChunk, count - size);
      bytes.resize(static_cast<std::size_t>(size + wanted));
      const std::int64_t got = read(bytes.data() + size, wanted);
      size += got;
      check_runtime(got == wanted,
                    "[read_idx] {} is truncated: its header promises {} bytes of data, it has {}; "
                    "download it again",
                    path_, count, size);
    }
    // Reading past the end is also what makes zlib compare the checksum.
    std::uint8_t extra = 0;
    check_runtime(read(&extra, 1) == 0,
                  "[read_idx] {} has trailing data after the {} bytes that its header promises; "
                  "download it again",
                  path_, count);
    return at::from_blob(bytes.data(), {count}, at::kByte).clone();
  }

 private:
  // Bytes read, fewer than `count` only at the end of the data.
  std::int64_t read(std::uint8_t* target, std::int64_t count) {
    const int got = gzread(file_.get(), target, static_cast<unsigned>(count));
    int code = Z_OK;
    const char* reason = gzerror(file_.get(), &code);
    check_runtime(code != Z_BUF_ERROR,
                  "[read_idx] {} is truncated: its gzip stream ends early; download it again",
                  path_);
    check_runtime(code != Z_DATA_ERROR,
                  "[read_idx] {} is damaged: its gzip stream is corrupt; download it again", path_);
    check_runtime(got >= 0, "[read_idx] cannot read {} ({}); check the file and its disk", path_,
                  reason);
    return got;
  }

  std::uint32_t read_word() {
    std::array<std::uint8_t, 4> bytes{};
    check_runtime(read(bytes.data(), 4) == 4,
                  "[read_idx] {} is truncated: it ends within its header; download it again",
                  path_);
    return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
           static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
  }

  std::string path_;
  std::unique_ptr<gzFile_s, IdxFileCloser> file_;
};

}  // namespace

at::Tensor read_idx_images(const std::string& path) {
  IdxFile file(path);
  const std::int64_t count = file.read_header(kImageMagic);
  const std::int64_t height = file.read_side();
  const std::int64_t width = file.read_side();
  return file.read_rest(count * height * width).view({count, 1, height, width});
}

at::Tensor read_idx_labels(const std::string& path) {
  IdxFile file(path);
  const std::int64_t count = file.read_header(kLabelMagic);
  return file.read_rest(count).to(at::kLong);
}

}  // namespace decorr::data
