#include "decorr/data/cifar.h"

#include "decorr/core/check.h"
#include "decorr/data/gzip_file.h"

#include <ATen/ATen.h>

#include <array>
#include <cstdint>

namespace decorr::data {
namespace {

constexpr std::int64_t kChannels = 3;
constexpr std::int64_t kSide = 32;
constexpr std::int64_t kPixels = kChannels * kSide * kSide;

// What a record holds before its pixels: for each label how many classes it tells apart.
struct Layout {
  const char* operation;
  const char* dataset;
  std::array<int, 2> classes;
  std::int64_t labels;  // how many there are; the last one is the class
};

constexpr Layout kCifar10{"read_cifar10", "CIFAR-10", {10, 0}, 1};
constexpr Layout kCifar100{"read_cifar100", "CIFAR-100", {20, 100}, 2};

std::pair<at::Tensor, at::Tensor> parse(std::string_view bytes, const std::string& name,
                                        const Layout& layout) {
  const std::int64_t record = layout.labels + kPixels;
  const auto size = static_cast<std::int64_t>(bytes.size());
  check_runtime(size > 0 && size % record == 0,
                "[{}] {} must hold one or more records of {} bytes, got {} bytes ({} records and "
                "{} bytes); download it again",
                layout.operation, name, record, size, size / record, size % record);
  const std::int64_t count = size / record;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < layout.labels; ++j) {
      const int label = static_cast<unsigned char>(bytes[static_cast<std::size_t>(i * record + j)]);
      const int classes = layout.classes[static_cast<std::size_t>(j)];
      check_runtime(label < classes,
                    "[{}] labels in {} must be 0 to {}, got {} in record {}; give a file of {}'s "
                    "binary version, or download it again",
                    layout.operation, name, classes - 1, label, i, layout.dataset);
    }
  }
  // Copies below: `records` is a view of `bytes`, which nothing writes to.
  const at::Tensor records =
      at::from_blob(const_cast<char*>(bytes.data()), {count, record}, at::kByte);
  return {records.narrow(1, layout.labels, kPixels)
              .clone(at::MemoryFormat::Contiguous)
              .view({count, kChannels, kSide, kSide}),
          records.select(1, layout.labels - 1).to(at::kLong)};
}

}  // namespace

std::pair<at::Tensor, at::Tensor> read_cifar10(const std::string& path) {
  return parse_cifar10(GzipFile(kCifar10.operation, path).read_rest(), path);
}

std::pair<at::Tensor, at::Tensor> read_cifar100(const std::string& path) {
  return parse_cifar100(GzipFile(kCifar100.operation, path).read_rest(), path);
}

std::pair<at::Tensor, at::Tensor> parse_cifar10(std::string_view bytes, const std::string& name) {
  return parse(bytes, name, kCifar10);
}

std::pair<at::Tensor, at::Tensor> parse_cifar100(std::string_view bytes, const std::string& name) {
  return parse(bytes, name, kCifar100);
}

}  // namespace decorr::data
