#include "decorr/data/fetch/fetch.h"

#include "decorr/data/fetch/checksum.h"

#include "tests/data/fetch/support.h"
#include "tests/data/file_support.h"
#include <cstdint>

namespace decorr::data {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using testing::names_below;
using testing::read_file;
using testing::TemporaryFolder;

std::string sum_of(const std::string& bytes) {
  Sha256 sum;
  sum.update(bytes.data(), bytes.size());
  return sum.hex();
}

const std::string kArchive = testing::tar({{"top/a", "abc"}, {"top/b/c", testing::ramp(300'000)}});

// A data set of one archive, and one of two files; nobody serves them.
FetchSource archive_source() {
  FetchSource source;
  source.name = "small";
  source.files = {
      {"small.tar", {"http://127.0.0.1:1/small.tar"}, kArchive.size(), sum_of(kArchive)}};
  source.unpack = true;
  source.top_folder = "top";
  source.disk_bytes = 1'000'000;
  source.required = {{"a", 3}, {"b/c", 300'000}};
  return source;
}

FetchSource file_source() {
  FetchSource source;
  source.name = "pair";
  source.files = {{"x.gz", {"http://127.0.0.1:1/x.gz"}, 3, sum_of("xyz")},
                  {"y.gz", {"http://127.0.0.1:1/y.gz"}, 2, sum_of("yz")}};
  source.disk_bytes = 5;
  source.required = {{"x.gz", 3}, {"y.gz", 2}};
  return source;
}

class Fetch : public ::testing::Test {
 protected:
  Fetch() {
    testing::write_file(folder_ / "small.tar", kArchive);
    testing::write_file(folder_ / "x.gz", "xyz");
    testing::write_file(folder_ / "y.gz", "yz");
    std::filesystem::create_directory(place());
  }

  std::string place() const { return folder_ / "place"; }  // has the target alone
  std::string target() const { return place() + "/target"; }

  std::size_t run(const FetchSource& source, const std::string& from,
                  const FetchEvents& events = {}) const {
    return fetch(source, target(), FetchOptions().from(from.empty() ? "" : folder_ / from), events)
        .files;
  }

  TemporaryFolder folder_;
};

TEST_F(Fetch, UnpacksAnArchive) {
  EXPECT_EQ(run(archive_source(), "small.tar"), 0U);
  EXPECT_THAT(names_below(place()),
              ElementsAre("target", "target/SHA256SUMS", "target/a", "target/b", "target/b/c"));
  EXPECT_EQ(read_file(target() + "/a"), "abc");
  EXPECT_EQ(read_file(target() + "/SHA256SUMS").substr(0, 69),
            sum_of("abc") + "  a\n" + sum_of(testing::ramp(300'000)).substr(0, 1));
  EXPECT_EQ(run(archive_source(), ""), 2U);  // there already: nothing is asked for
}

TEST_F(Fetch, KeepsFilesAsTheyAre) {
  EXPECT_EQ(run(file_source(), "."), 0U);
  EXPECT_THAT(names_below(target()), ElementsAre("SHA256SUMS", "x.gz", "y.gz"));
  EXPECT_EQ(read_file(target() + "/y.gz"), "yz");
  EXPECT_EQ(run(file_source(), ""), 2U);
  EXPECT_EQ(read_file(folder_ / "x.gz"), "xyz");
}

TEST_F(Fetch, FindsTheArchiveInAFolder) {
  EXPECT_EQ(run(archive_source(), "."), 0U);
  EXPECT_EQ(run(archive_source(), ""), 2U);
}

TEST_F(Fetch, FilesPutThereByHandCountByTheirLengths) {
  std::filesystem::create_directories(target());
  testing::write_file(target() + "/x.gz", "xyz");
  testing::write_file(target() + "/y.gz", "yz");
  EXPECT_EQ(run(file_source(), ""), 2U);
  testing::write_file(target() + "/y.gz", "y");
  expect_error<BadContent>([&] { run(file_source(), ""); },
                           {"y.gz has 1 bytes, not 2", target(), "remove it"});
}

// What load() would read counts, too.
TEST_F(Fetch, FilesPutThereByHandMayHaveAnotherForm) {
  const auto look = [&](const char* name) { return fetch(fetch_source(name), target(), {}, {}); };
  const auto put = [&](const std::string& path, std::uintmax_t bytes) {
    testing::write_deep(target() + "/" + path, "");
    std::filesystem::resize_file(target() + "/" + path, bytes);  // takes no space on the disk
  };
  const auto is_there = [](const FetchResult& result) {
    return result.already && result.files == 0;
  };
  for (const char* file : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"})
    put(file, 10);
  EXPECT_TRUE(is_there(look("mnist")));
  put("t10k-labels-idx1-ubyte.gz", 4541);
  expect_error<BadContent>([&] { look("mnist"); }, {"t10k-labels-idx1-ubyte.gz has 4541 bytes"});

  std::filesystem::remove_all(target());
  put("cifar-10-binary.tar.gz", 170052171);
  EXPECT_TRUE(is_there(look("cifar10")));
  expect_error<BadContent>([&] { look("cifar100"); }, {"it lacks train.bin"});
  put("cifar-10-binary.tar.gz", 170052170);
  expect_error<BadContent>([&] { look("cifar10"); }, {"has 170052170 bytes, not 170052171"});

  std::filesystem::remove_all(target());
  for (const RequiredFile& file : fetch_source("cifar10").required)
    put("cifar-10-batches-bin/" + file.path, file.bytes);
  EXPECT_TRUE(is_there(look("cifar10")));
}

TEST_F(Fetch, TheListMustBeThatOfTheDataSet) {
  run(file_source(), ".");
  FetchSource other = file_source();
  other.files[1].sha256 = sum_of("zz");  // as MNIST and Fashion-MNIST: the same names
  expect_error<BadContent>([&] { run(other, ""); }, {"y.gz is not that of pair", target()});
  expect_error<BadContent>([&] { run(archive_source(), ""); }, {"SHA256SUMS does not list a"});
  FetchSource folders = file_source();
  folders.required.push_back({"z/"});
  expect_error<BadContent>([&] { run(folders, ""); }, {"SHA256SUMS does not list z/"});
}

TEST_F(Fetch, RequiredFoldersMustHaveFiles) {
  FetchSource source = archive_source();
  source.required = {{"a", 3}, {"b/"}};
  EXPECT_EQ(run(source, "small.tar"), 0U);
  EXPECT_EQ(run(source, ""), 2U);
  std::filesystem::remove(target() + "/SHA256SUMS");
  EXPECT_EQ(run(source, ""), 2U);
  std::filesystem::remove(target() + "/b/c");
  expect_error<BadContent>([&] { run(source, ""); }, {"it lacks b/"});
}

TEST_F(Fetch, AWrongFileCostsNoDownload) {
  const std::string kept = target() + ".part/downloads/x.gz.part";
  testing::write_deep(kept, "xy");
  testing::write_file(folder_ / "y.gz", "zy");
  expect_error<BadContent>([&] { run(file_source(), "."); }, {"y.gz"});
  EXPECT_EQ(read_file(kept), "xy");
}

TEST_F(Fetch, ADownloadThatCannotBeUnpackedIsRemoved) {
  FetchSource source = archive_source();
  source.required.push_back({"d"});
  testing::write_deep(target() + ".part/downloads/small.tar", kArchive);
  expect_error<BadContent>([&] { run(source, ""); }, {"small.tar", "it lacks d"});
  EXPECT_THAT(names_below(place()), ElementsAre());
}

TEST_F(Fetch, ChecksEverySumOfTheList) {
  run(archive_source(), "small.tar");
  std::string content = read_file(target() + "/b/c");
  content[1000] = '?';
  testing::write_file(target() + "/b/c", content);
  expect_error<BadContent>([&] { run(archive_source(), ""); }, {"b/c is not what was fetched"});
  testing::write_file(target() + "/SHA256SUMS", "nonsense\n");
  expect_error<BadContent>([&] { run(archive_source(), ""); }, {"line 1 of SHA256SUMS"});
  testing::write_file(target() + "/SHA256SUMS", "");
  expect_error<BadContent>([&] { run(archive_source(), ""); }, {"SHA256SUMS is empty"});
}

TEST_F(Fetch, LeavesNothingOfAWrongFile) {
  testing::write_file(folder_ / "y.gz", "zy");
  expect_error<BadContent>([&] { run(file_source(), "."); },
                           {"y.gz", sum_of("zy"), sum_of("yz"), "expected"});
  testing::write_file(folder_ / "y.gz", "zyx");
  expect_error<BadContent>([&] { run(file_source(), "."); }, {"y.gz has 3 bytes, 2 expected"});
  FetchSource other = archive_source();
  other.required.push_back({"d"});
  expect_error<BadContent>([&] { run(other, "small.tar"); }, {"small.tar", "it lacks d"});
  other.required = {{"a", 4}};
  expect_error<BadContent>([&] { run(other, "small.tar"); }, {"a has 3 bytes, not 4"});
  EXPECT_THAT(names_below(place()), ElementsAre());
}

TEST_F(Fetch, UnpacksNoMoreThanTheSourceSays) {
  FetchSource source = archive_source();
  source.disk_bytes = 1000;
  expect_error<BadContent>([&] { run(source, "small.tar"); }, {"unpacks to more than 1.0 kB"});
  EXPECT_THAT(names_below(place()), ElementsAre());
}

TEST_F(Fetch, ChecksTheSpaceBeforehand) {
  FetchSource source = archive_source();
  source.disk_bytes = std::uint64_t{1} << 60;
  expect_error<std::runtime_error>([&] { run(source, "small.tar"); },
                                   {"not enough space for small", place(), "--to"});
  source = archive_source();
  source.files[0].bytes = std::uint64_t{1} << 60;
  expect_error<std::runtime_error>([&] { run(source, ""); }, {"not enough space for small"});
  EXPECT_THAT(names_below(place()), ElementsAre());
}

TEST_F(Fetch, StopsAtAnyMomentAndLeavesNothing) {
  int count = 1;
  for (;; ++count) {
    try {
      run(archive_source(), "small.tar", testing::stop_after(count));
      break;
    } catch (const FetchStopped&) {
      ASSERT_THAT(names_below(place()), ElementsAre());
    }
  }
  EXPECT_GT(count, 2);
  EXPECT_EQ(run(archive_source(), ""), 2U);
}

TEST_F(Fetch, TriesEveryPlaceAndTellsOfEach) {
  FetchSource source = archive_source();
  source.files[0].urls.push_back("http://127.0.0.1:2/small.tar");
  const auto options = FetchOptions().download(DownloadOptions().retries(1).backoff(0.01));
  std::vector<std::string> messages;
  FetchEvents events;
  events.on_message = [&](const std::string& text) { messages.push_back(text); };
  expect_error<std::runtime_error>(
      [&] { fetch(source, target(), options, events); },
      {"http://127.0.0.1:1/small.tar: ", "http://127.0.0.1:2/small.tar: ", "--url", "--from"});
  EXPECT_EQ(messages.size(), 5U);
  EXPECT_THAT(names_below(place()), ElementsAre());
}

TEST_F(Fetch, RefusesBadOptions) {
  const auto refused = [&](const FetchOptions& options, const std::vector<std::string>& parts) {
    expect_error<std::invalid_argument>([&] { fetch(file_source(), target(), options, {}); },
                                        parts);
  };
  refused(FetchOptions().via("ftp"), {"web or npm", "'ftp'"});
  refused(FetchOptions().via("npm"), {"pair cannot come from npm"});
  refused(FetchOptions().from(folder_ / "absent"), {folder_ / "absent", "--from"});
  refused(FetchOptions().from(folder_ / "x.gz"), {"pair has 2 files", folder_ / "x.gz"});
  refused(FetchOptions().download(DownloadOptions().retries(-1)), {"retries", "-1"});
  refused(FetchOptions().download(DownloadOptions().backoff(-1)), {"backoff", "-1"});
  refused(FetchOptions().download(DownloadOptions().stall_timeout(0)), {"stall_timeout", "0"});
  refused(FetchOptions().download(DownloadOptions().connect_timeout(0)), {"connect_timeout", "0"});
  const auto given = FetchOptions().from(folder_.str());
  refused(FetchOptions(given).download(DownloadOptions().retries(-1)), {"retries", "-1"});
  expect_error<std::invalid_argument>([&] { fetch(file_source(), "", {}, {}); }, {"name"});
  expect_error<std::invalid_argument>([&] { fetch(file_source(), "/", {}, {}); }, {"/"});
  EXPECT_THAT(names_below(place()), ElementsAre());
}

}  // namespace
}  // namespace decorr::data
