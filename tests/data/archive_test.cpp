#include "decorr/data/archive.h"

#include "tests/data/file_support.h"

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_archive;
using testing::write_file;

bool everything(const std::string&) { return true; }

const std::map<std::string, std::string> kFiles{
    {"folder/a.bin", testing::ramp(100000)}, {"folder/b.txt", "text"}, {"folder/empty", ""}};

TEST(Archive, ReadsWhatIsWanted) {
  const TemporaryFolder folder;
  write_archive(folder / "a.tar.gz", kFiles, false);
  write_archive(folder / "a.zip", kFiles, true);
  EXPECT_EQ(read_tar(folder / "a.tar.gz", everything), kFiles);
  EXPECT_EQ(read_zip(folder / "a.zip", everything), kFiles);
  const auto text = [](const std::string& path) { return path == "folder/b.txt"; };
  EXPECT_THAT(read_tar(folder / "a.tar.gz", text),
              ::testing::ElementsAre(::testing::Pair("folder/b.txt", "text")));
}

TEST(Archive, RefusesWhatIsCutOffOrDamaged) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.tar.gz";
  write_archive(path, kFiles, false);
  const std::string good = testing::read_file(path);
  std::string checksum = good;
  checksum[good.size() - 8] = static_cast<char>(checksum[good.size() - 8] ^ 0x55);
  for (const std::string& bad :
       {good.substr(0, good.size() / 2), good.substr(0, good.size() - 3), checksum}) {
    write_file(path, bad);
    expect_error<std::runtime_error>([&] { read_tar(path, everything); },
                                     {path, "cannot read", "download it again"});
  }
  write_file(path, "no archive at all, but long enough to be looked at");
  expect_error<std::runtime_error>([&] { read_tar(path, everything); }, {path, "cannot read"});
  expect_error<std::runtime_error>([&] { read_tar(folder / "none", everything); },
                                   {folder / "none", "No such file"});

  const std::string zip = folder / "a.zip";
  write_archive(zip, kFiles, true);
  std::string bytes = testing::read_file(zip);
  write_file(zip, bytes.substr(0, bytes.size() / 2));
  expect_error<std::runtime_error>([&] { read_zip(zip, everything); }, {zip, "cannot read"});
  bytes[100] = static_cast<char>(bytes[100] ^ 0x55);
  write_file(zip, bytes);
  expect_error<std::runtime_error>([&] { read_zip(zip, everything); }, {zip, "cannot read"});
}

}  // namespace
}  // namespace decorr::data
