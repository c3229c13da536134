#include "decorr/data/idx.h"

#include "tests/data/support.h"

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::word;
using testing::write_file;
using testing::write_gzip;

// Expects both the plain and the compressed file with these bytes to be refused.
template <typename Read>
void expect_refused(Read read, const std::string& bytes, std::vector<std::string> parts) {
  const TemporaryFolder folder;
  const std::string plain = folder / "data-ubyte";
  const std::string gzip = folder / "data-ubyte.gz";
  write_file(plain, bytes);
  write_gzip(gzip, bytes);
  for (const std::string& path : {plain, gzip}) {
    parts.push_back(path);
    expect_error<std::runtime_error>([&] { read(path); }, parts);
    parts.pop_back();
  }
}

TEST(Idx, ReadsImagesPlainAndCompressed) {
  const TemporaryFolder folder;
  const std::string bytes = testing::idx_images(5, 3, 4);
  write_file(folder / "plain", bytes);
  write_gzip(folder / "images.gz", bytes);
  write_gzip(folder / "compressed-without-suffix", bytes);
  const at::Tensor expected = at::arange(60).to(at::kByte).view({5, 1, 3, 4});
  for (const char* name : {"plain", "images.gz", "compressed-without-suffix"}) {
    const at::Tensor images = read_idx_images(folder / name);
    EXPECT_EQ(images.scalar_type(), at::kByte);
    EXPECT_TRUE(at::equal(images, expected)) << name;
  }
}

TEST(Idx, ReadsLabelsPlainAndCompressed) {
  const TemporaryFolder folder;
  const std::string bytes = testing::idx_labels("\x03\x01\xFF");
  write_file(folder / "plain", bytes);
  write_gzip(folder / "labels.gz", bytes);
  for (const char* name : {"plain", "labels.gz"}) {
    const at::Tensor labels = read_idx_labels(folder / name);
    EXPECT_TRUE(at::equal(labels, at::tensor({3, 1, 255}, at::kLong))) << name;
  }
}

TEST(Idx, ReadsMoreThanOneChunk) {
  const TemporaryFolder folder;
  write_gzip(folder / "images.gz", testing::idx_images(3, 1000, 1001));
  const at::Tensor images = read_idx_images(folder / "images.gz");
  const at::Tensor expected = at::arange(3003000).remainder(251).to(at::kByte);
  EXPECT_TRUE(at::equal(images.flatten(), expected));
}

TEST(Idx, ReadsFashionMnist) {
  const std::string folder = "/usr/share/datasets/fashion-mnist/";
  const at::Tensor images = read_idx_images(folder + "t10k-images-idx3-ubyte.gz");
  const at::Tensor labels = read_idx_labels(folder + "t10k-labels-idx1-ubyte.gz");
  EXPECT_EQ(images.sizes(), (at::IntArrayRef{10000, 1, 28, 28}));
  EXPECT_TRUE(at::equal(labels.bincount(), at::full({10}, 1000, at::kLong)));
}

TEST(Idx, RefusesMissingFile) {
  const TemporaryFolder folder;
  expect_error<std::runtime_error>([&] { read_idx_images(folder / "absent.gz"); },
                                   {folder / "absent.gz", "No such file", "check the path"});
}

TEST(Idx, RefusesFolder) {
  const TemporaryFolder folder;
  expect_error<std::runtime_error>([&] { read_idx_labels(folder.str()); },
                                   {folder.str(), "directory"});
}

TEST(Idx, RefusesPlainFileNamedGz) {
  const TemporaryFolder folder;
  write_file(folder / "images.gz", testing::idx_images(2, 3, 3));
  write_file(folder / "empty.gz", "");
  for (const char* name : {"images.gz", "empty.gz"})
    expect_error<std::runtime_error>([&] { read_idx_images(folder / name); },
                                     {folder / name, "not a gzip file", "download it again"});
}

TEST(Idx, RefusesTruncatedHeader) {
  const std::string bytes = testing::idx_images(2, 3, 3);
  for (const std::size_t size : {0, 3, 6, 15})
    expect_refused(read_idx_images, bytes.substr(0, size), {"truncated", "header"});
}

TEST(Idx, RefusesTruncatedData) {
  const std::string images = testing::idx_images(2, 3, 3);
  expect_refused(read_idx_images, images.substr(0, images.size() - 1),
                 {"truncated", "promises 18 bytes", "has 17", "download it again"});
  expect_refused(read_idx_labels, word(0x801) + word(4) + "abc",
                 {"truncated", "promises 4 bytes", "has 3"});
}

TEST(Idx, RefusesTrailingData) {
  expect_refused(read_idx_images, testing::idx_images(2, 3, 3) + "x",
                 {"trailing data", "18 bytes", "download it again"});
  expect_refused(read_idx_labels, testing::idx_labels("abc") + "d", {"trailing data"});
}

TEST(Idx, RefusesWrongMagic) {
  expect_refused(read_idx_images, testing::idx_labels(std::string(20, 'a')),
                 {"0x00000801", "0x00000803", "images"});
  expect_refused(read_idx_labels, testing::idx_images(2, 3, 3),
                 {"0x00000803", "0x00000801", "labels"});
}

TEST(Idx, RefusesZeroSizes) {
  expect_refused(read_idx_images, testing::idx_images(0, 3, 3), {"no items"});
  expect_refused(read_idx_images, testing::idx_images(2, 0, 3), {"side of 0 pixels", "16384"});
  expect_refused(read_idx_images, testing::idx_images(2, 3, 0), {"side of 0 pixels"});
  expect_refused(read_idx_labels, testing::idx_labels(""), {"no items"});
}

TEST(Idx, RefusesAbsurdSizesWithoutAllocatingThem) {
  const std::uint32_t huge = 0xFFFFFFFF;
  expect_refused(read_idx_images, word(0x803) + word(huge) + word(huge) + word(huge) + "data",
                 {"side of 4294967295 pixels"});
  // 2^60 bytes promised by a file of 20: no allocator would give that.
  expect_refused(read_idx_images, word(0x803) + word(huge) + word(16384) + word(16384) + "data",
                 {"truncated", "has 4;"});
  expect_refused(read_idx_labels, word(0x801) + word(huge) + "data", {"truncated", "has 4;"});
}

TEST(Idx, RefusesTruncatedGzipStream) {
  const TemporaryFolder folder;
  write_gzip(folder / "whole.gz", testing::idx_images(50, 20, 20));
  const std::string bytes = testing::read_file(folder / "whole.gz");
  // Within the data, and within the checksum, when all pixels are there already.
  for (const std::size_t size : {bytes.size() / 2, bytes.size() - 3}) {
    write_file(folder / "cut.gz", bytes.substr(0, size));
    expect_error<std::runtime_error>([&] { read_idx_images(folder / "cut.gz"); },
                                     {folder / "cut.gz", "truncated", "download it again"});
  }
}

TEST(Idx, RefusesCorruptGzipStream) {
  const TemporaryFolder folder;
  write_gzip(folder / "images.gz", testing::idx_images(50, 20, 20));
  const std::string bytes = testing::read_file(folder / "images.gz");
  const std::size_t checksum = bytes.size() - 8;
  const std::size_t method = 2;
  for (const std::size_t place : {method, checksum}) {
    std::string damaged = bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x55);
    write_file(folder / "images.gz", damaged);
    expect_error<std::runtime_error>([&] { read_idx_images(folder / "images.gz"); },
                                     {folder / "images.gz", "corrupt", "download it again"});
  }
}

}  // namespace
}  // namespace decorr::data
