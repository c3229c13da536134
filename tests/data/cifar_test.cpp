#include "decorr/data/cifar.h"

#include "decorr/data/registry.h"

#include "tests/data/support.h"
#include <filesystem>

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_file;
using testing::write_gzip;

// Records with these labels, all with the pixels 0, 1, … 250, 0, … in the order of the file.
std::string records(const std::vector<int>& labels) {
  std::string bytes;
  for (const int label : labels) bytes += static_cast<char>(label) + testing::ramp(3072);
  return bytes;
}

// Six files, of the labels 0; 1, 2; 3; 4; 5 to train and of 6, 7, 8 to test.
void write_cifar10(const std::string& folder) {
  std::filesystem::create_directories(folder);
  write_file(folder + "/data_batch_1.bin", records({0}));
  write_file(folder + "/data_batch_2.bin", records({1, 2}));
  write_file(folder + "/data_batch_3.bin", records({3}));
  write_gzip(folder + "/data_batch_4.bin.gz", records({4}));
  write_file(folder + "/data_batch_5.bin", records({5}));
  write_file(folder + "/test_batch.bin", records({6, 7, 8}));
}

TEST(Cifar, ReadsPlainAndCompressed) {
  const TemporaryFolder folder;
  const std::string red(1024, '\x01');
  const std::string green(1024, '\x02');
  const std::string blue = std::string(1023, '\x03') + '\xFF';
  const std::string bytes = records({9}) + '\x04' + red + green + blue;
  write_file(folder / "plain.bin", bytes);
  write_gzip(folder / "batch.bin.gz", bytes);
  for (const char* name : {"plain.bin", "batch.bin.gz"}) {
    const auto [images, labels] = read_cifar10(folder / name);
    EXPECT_TRUE(at::equal(labels, at::tensor({9, 4}, at::kLong))) << name;
    EXPECT_EQ(images.scalar_type(), at::kByte);
    ASSERT_EQ(images.sizes(), (at::IntArrayRef{2, 3, 32, 32}));
    const at::Tensor first = at::arange(3072).remainder(251).to(at::kByte).view({3, 32, 32});
    EXPECT_TRUE(at::equal(images[0], first)) << name;
    at::Tensor second = at::tensor({1, 2, 3}, at::kByte).view({3, 1, 1}).repeat({1, 32, 32});
    second[2][31][31] = 255;
    EXPECT_TRUE(at::equal(images[1], second)) << name;
  }
}

TEST(Cifar, ReadsMoreThanOneChunk) {
  const TemporaryFolder folder;
  const std::vector<int> expected(700, 7);  // 2.1 MB
  write_file(folder / "batch.bin", records(expected));
  const auto [images, labels] = read_cifar10(folder / "batch.bin");
  EXPECT_EQ(images.size(0), 700);
  EXPECT_TRUE(at::equal(labels, at::full({700}, 7, at::kLong)));
  EXPECT_TRUE(at::equal(images[0], images[699]));
}

TEST(Cifar, RefusesMissingFile) {
  const TemporaryFolder folder;
  expect_error<std::runtime_error>([&] { read_cifar10(folder / "absent.bin"); },
                                   {folder / "absent.bin", "No such file", "check the path"});
  expect_error<std::runtime_error>([&] { read_cifar10(folder.str()); },
                                   {folder.str(), "directory"});
}

TEST(Cifar, RefusesPartsOfRecords) {
  const TemporaryFolder folder;
  const std::string path = folder / "batch.bin";
  const std::string bytes = records({1, 2});
  for (const std::string& wrong :
       {std::string(), bytes.substr(0, 3000), bytes.substr(0, 6145), bytes + 'x'}) {
    write_file(path, wrong);
    expect_error<std::runtime_error>(
        [&] { read_cifar10(path); },
        {path, "records of 3073 bytes", "got " + std::to_string(wrong.size()) + " bytes",
         "download it again"});
  }
  write_file(path, bytes.substr(0, 6145));
  expect_error<std::runtime_error>([&] { read_cifar10(path); }, {"(1 records and 3072 bytes)"});
}

TEST(Cifar, RefusesLabelAboveNine) {
  const TemporaryFolder folder;
  const std::string path = folder / "batch.bin";
  for (const int label : {10, 255}) {
    write_file(path, records({9, 0, label}));
    expect_error<std::runtime_error>(
        [&] { read_cifar10(path); },
        {path, "0 to 9", "got " + std::to_string(label) + " in record 2"});
  }
}

TEST(Cifar, RefusesDamagedGzipStream) {
  const TemporaryFolder folder;
  const std::string path = folder / "batch.bin.gz";
  write_gzip(path, records({1, 2, 3}));
  const std::string bytes = testing::read_file(path);
  std::string corrupt = bytes;
  corrupt[bytes.size() - 8] = static_cast<char>(corrupt[bytes.size() - 8] ^ 0x55);  // checksum
  for (const std::string& damaged :
       {bytes.substr(0, bytes.size() / 2), bytes.substr(0, bytes.size() - 3), corrupt}) {
    write_file(path, damaged);
    expect_error<std::runtime_error>([&] { read_cifar10(path); },
                                     {path, "cannot read", "download it again"});
  }
}

TEST(Cifar, LoadsFromRootInTheOrderOfTheFiles) {
  const TemporaryFolder folder;
  write_cifar10(folder.str());
  const Dataset train = load("cifar10", "train", folder.str());
  EXPECT_TRUE(at::equal(train.labels, at::arange(6, at::kLong)));
  EXPECT_EQ(train.images.sizes(), (at::IntArrayRef{6, 3, 32, 32}));
  EXPECT_EQ(train.classes.at(9), "truck");
  const Dataset test = load("cifar10", "test", folder.str());
  EXPECT_TRUE(at::equal(test.labels, at::tensor({6, 7, 8}, at::kLong)));
}

TEST(Cifar, FindsWhatTheArchiveUnpacksTo) {
  const TemporaryFolder folder;
  const std::string unpacked = folder / "cifar-10-batches-bin";
  write_cifar10(unpacked);
  EXPECT_EQ(find("cifar10", folder.str()), unpacked);
  EXPECT_EQ(load("cifar10", "test", folder.str()).size(), 3);
  EXPECT_EQ(find("cifar10", unpacked), unpacked);
  write_cifar10(folder.str());
  EXPECT_EQ(find("cifar10", folder.str()), folder.str());
}

TEST(Cifar, NotFoundListsEveryPlaceAndHowToGetIt) {
  const TemporaryFolder folder;
  write_cifar10(folder.str());
  std::filesystem::remove(folder / "data_batch_3.bin");
  expect_error<std::runtime_error>(
      [&] { load("cifar10", "train", folder.str()); },
      {"'cifar10' was not found", folder.str() + " (lacks data_batch_3.bin[.gz])",
       folder / "cifar-10-batches-bin (no such folder)", "decorr data fetch cifar10",
       "decorr data fetch cifar10", "--root"});
}

}  // namespace
}  // namespace decorr::data
