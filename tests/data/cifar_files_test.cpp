#include "decorr/data/cifar.h"
#include "decorr/data/registry.h"

#include "tests/data/file_support.h"
#include <set>

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_archive;
using testing::write_file;

std::string records10(const std::vector<int>& labels) {
  std::string bytes;
  for (const int label : labels) bytes += static_cast<char>(label) + testing::ramp(3072);
  return bytes;
}

std::string records100(const std::vector<int>& labels) {
  std::string bytes;
  for (const int label : labels)
    bytes +=
        std::string{static_cast<char>(label / 5), static_cast<char>(label)} + testing::ramp(3072);
  return bytes;
}

std::map<std::string, std::string> archive10() {
  std::map<std::string, std::string> files{{"cifar-10-batches-bin/readme.html", "<html>"}};
  for (int i = 1; i <= 5; ++i)
    files["cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin"] = records10({i, i});
  files["cifar-10-batches-bin/test_batch.bin"] = records10({9});
  return files;
}

TEST(Cifar100, ReadsFineLabels) {
  const TemporaryFolder folder;
  write_file(folder / "train.bin", records100({0, 99, 42}));
  const auto [images, labels] = read_cifar100(folder / "train.bin");
  EXPECT_TRUE(at::equal(labels, at::tensor({0, 99, 42}, at::kLong)));
  const at::Tensor pixels = at::arange(3072).remainder(251).to(at::kByte).view({3, 32, 32});
  EXPECT_TRUE(at::equal(images, pixels.expand({3, 3, 32, 32})));
}

TEST(Cifar100, RefusesBadRecords) {
  const std::string good = records100({7});
  expect_error<std::runtime_error>([&] { parse_cifar100(good.substr(1), "a.bin"); },
                                   {"a.bin", "records of 3074 bytes", "got 3073 bytes"});
  expect_error<std::runtime_error>([&] { parse_cifar100("\x14" + good.substr(1), "a.bin"); },
                                   {"a.bin", "0 to 19", "got 20 in record 0"});
  expect_error<std::runtime_error>(
      [&] { parse_cifar100(std::string("\x01\x64", 2) + good.substr(2), "a.bin"); },
      {"a.bin", "0 to 99", "got 100 in record 0", "CIFAR-100"});
}

TEST(Cifar100, LoadsWithAndWithoutTheNamesOfItsClasses) {
  const TemporaryFolder folder;
  const std::string unpacked = folder / "cifar-100-binary";
  testing::write_deep(unpacked + "/train.bin", records100({0, 99}));
  testing::write_gzip(unpacked + "/test.bin.gz", records100({1}));
  const Dataset train = load("cifar100", "train", folder.str());
  EXPECT_EQ(train.size(), 2);
  EXPECT_EQ(train.classes.size(), 100U);
  EXPECT_EQ(std::set<std::string>(train.classes.begin(), train.classes.end()).size(), 100U);
  EXPECT_TRUE(std::is_sorted(train.classes.begin(), train.classes.end()));
  EXPECT_EQ(load("cifar100", "test", unpacked).size(), 1);

  std::string names;
  for (int i = 0; i < 100; ++i) names += "name" + std::to_string(i) + "\n";
  write_file(unpacked + "/fine_label_names.txt", names);
  EXPECT_EQ(load("cifar100", "train", unpacked).classes.at(99), "name99");
  write_file(unpacked + "/fine_label_names.txt", "one\ntwo\n");
  expect_error<std::runtime_error>(
      [&] { load("cifar100", "train", unpacked); },
      {unpacked + "/fine_label_names.txt", "must name 100 classes", "got 2"});
}

TEST(CifarArchive, IsReadWithoutUnpacking) {
  const TemporaryFolder folder;
  write_archive(folder / "cifar-10-binary.tar.gz", archive10(), false);
  EXPECT_EQ(find("cifar10", folder.str()), folder.str());
  const Dataset train = load("cifar10", "train", folder.str());
  EXPECT_TRUE(at::equal(train.labels, at::tensor({1, 1, 2, 2, 3, 3, 4, 4, 5, 5}, at::kLong)));
  EXPECT_TRUE(at::equal(load("cifar10", "test", folder.str()).labels, at::tensor({9}, at::kLong)));

  std::string names;
  for (int i = 0; i < 100; ++i) names += "name" + std::to_string(i) + "\r\n";
  write_archive(folder / "cifar-100-binary.tar.gz",
                {{"cifar-100-binary/train.bin", records100({3})},
                 {"cifar-100-binary/test.bin", records100({4})},
                 {"cifar-100-binary/fine_label_names.txt", names}},
                false);
  EXPECT_EQ(load("cifar100", "test", folder.str()).classes.at(4), "name4");
}

TEST(CifarArchive, FilesComeBeforeIt) {
  const TemporaryFolder folder;
  write_file(folder / "cifar-100-binary.tar.gz", "damaged");
  write_file(folder / "train.bin", records100({3}));
  write_file(folder / "test.bin", records100({4}));
  EXPECT_EQ(load("cifar100", "train", folder.str()).size(), 1);
}

TEST(CifarArchive, RefusesWhatIsCutOffOrIncomplete) {
  const TemporaryFolder folder;
  const std::string path = folder / "cifar-10-binary.tar.gz";
  write_archive(path, archive10(), false);
  const std::string good = testing::read_file(path);
  write_file(path, good.substr(0, good.size() / 2));
  expect_error<std::runtime_error>([&] { load("cifar10", "train", folder.str()); },
                                   {path, "unexpected end of file", "download it again"});
  auto files = archive10();
  files.erase("cifar-10-batches-bin/data_batch_4.bin");
  files["cifar-10-batches-bin/test_batch.bin"] += "x";
  write_archive(path, files, false);
  expect_error<std::runtime_error>([&] { load("cifar10", "train", folder.str()); },
                                   {path + " lacks data_batch_4.bin", "download it again"});
  expect_error<std::runtime_error>([&] { load("cifar10", "test", folder.str()); },
                                   {path + "/test_batch.bin", "got 3074 bytes"});
}

}  // namespace
}  // namespace decorr::data
