#pragma once

#include "decorr/core/random.h"
#include "decorr/data/dataset.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

namespace decorr::data::testing {

/// A new folder for one test, removed with all it holds at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "decorr-data-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("cannot make a folder like " + pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// Path of `name` in the folder.
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string str() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Four bytes, highest first.
inline std::string word(std::uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xFFU);
  return bytes;
}

/// `count` bytes that repeat only after 251.
inline std::string ramp(std::int64_t count) {
  std::string bytes;
  for (std::int64_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 251);
  return bytes;
}

/// An IDX file of images whose pixels are ramp().
inline std::string idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  return word(0x803) + word(count) + word(height) + word(width) +
         ramp(std::int64_t{count} * height * width);
}

/// An IDX file with these labels.
inline std::string idx_labels(const std::string& labels) {
  return word(0x801) + word(static_cast<std::uint32_t>(labels.size())) + labels;
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline void write_gzip(const std::string& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A dataset of `count` random images [C, H, W] in which image i has label i modulo 10.
inline Dataset random_dataset(std::int64_t count, std::int64_t channels, std::int64_t height,
                              std::int64_t width) {
  const at::Tensor noise = RandomStream(7, "test images")
                               .uniform({count, channels, height, width}, 0.0, 256.0, at::kDouble);
  return {"random",
          noise.to(at::kByte),
          at::arange(count, at::kLong).remainder(10),
          {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}};
}

/// Expects `call` to throw exactly `Error` with a message that holds every one of `parts`.
template <typename Error, typename Call>
void expect_error(Call call, const std::vector<std::string>& parts) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(typeid(error), typeid(Error));
    for (const std::string& part : parts) EXPECT_THAT(error.what(), ::testing::HasSubstr(part));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
  }
}

}  // namespace decorr::data::testing
