#include "decorr/data/cifar.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace decorr::data {
namespace {

constexpr std::int64_t kClasses = 10;
constexpr std::int64_t kChannels = 3;
constexpr std::int64_t kSide = 32;
constexpr std::int64_t kPixels = kChannels * kSide * kSide;
constexpr std::int64_t kRecord = 1 + kPixels;
constexpr std::size_t kChunk = std::size_t{1} << 20;

struct Closer {
  void operator()(gzFile file) const { gzclose_r(file); }
};

// All bytes of a file, decompressed if it is a gzip stream.
std::vector<std::uint8_t> read_bytes(const std::string& path) {
  errno = 0;
  const std::unique_ptr<gzFile_s, Closer> file(gzopen(path.c_str(), "rb"));
  check_runtime(file != nullptr, "[read_cifar10] cannot open {}: {}; check the path", path,
                errno != 0 ? std::strerror(errno) : "out of memory");
  std::vector<std::uint8_t> bytes;
  std::size_t size = 0;
  for (;;) {
    bytes.resize(size + kChunk);
    const int got = gzread(file.get(), bytes.data() + size, static_cast<unsigned>(kChunk));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    // A gzip stream that ends early is no failure to gzread(), only to gzerror().
    check_runtime(got >= 0 && code == Z_OK,
                  "[read_cifar10] cannot read {} ({}); check the file, or download it again", path,
                  reason);
    size += static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < kChunk) break;
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> read_cifar10(const std::string& path) {
  std::vector<std::uint8_t> bytes = read_bytes(path);
  const auto size = static_cast<std::int64_t>(bytes.size());
  check_runtime(size > 0 && size % kRecord == 0,
                "[read_cifar10] {} must hold one or more records of {} bytes, got {} bytes ({} "
                "records and {} bytes); download it again",
                path, kRecord, size, size / kRecord, size % kRecord);
  const std::int64_t count = size / kRecord;
  for (std::int64_t i = 0; i < count; ++i) {
    const int label = bytes[static_cast<std::size_t>(i * kRecord)];
    check_runtime(
        label < kClasses,
        "[read_cifar10] labels in {} must be 0 to {}, got {} in record {}; give a file of "
        "CIFAR-10's binary version, or download it again",
        path, kClasses - 1, label, i);
  }
  const at::Tensor records = at::from_blob(bytes.data(), {count, kRecord}, at::kByte);
  // Copies: `records` is a view of `bytes`.
  return {records.narrow(1, 1, kPixels)
              .clone(at::MemoryFormat::Contiguous)
              .view({count, kChannels, kSide, kSide}),
          records.select(1, 0).to(at::kLong)};
}

}  // namespace decorr::data
