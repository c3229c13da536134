#include "decorr/data/fetch/archive.h"

#include "decorr/data/fetch/checksum.h"

#include "tests/data/fetch/support.h"
#include "tests/io/temporary_folder.h"

namespace decorr::data {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using testing::names_below;
using testing::read_file;
using testing::tar;
using testing::TarMember;
using testing::TemporaryFolder;

// A folder with an archive in it and one to unpack it to.
class FetchArchive : public ::testing::Test {
 protected:
  FetchArchive() { std::filesystem::create_directory(target()); }

  std::string path() const { return folder_ / "archive.tar"; }
  std::string target() const { return folder_ / "target"; }

  std::vector<FileSum> run(const std::vector<TarMember>& members, const UnpackLimits& limits = {},
                           const FetchEvents& events = {}) const {
    testing::write_file(path(), tar(members));
    return unpack(path(), target(), limits, events);
  }

  void expect_refused(const std::vector<TarMember>& members, const std::string& reason,
                      const UnpackLimits& limits = {}) const {
    expect_error<BadContent>([&] { run(members, limits); }, {path(), reason});
    EXPECT_THAT(names_below(folder_.str()), ::testing::Not(::testing::Contains("evil")));
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(FetchArchive, UnpacksFilesWithTheirSums) {
  const std::string large = testing::ramp(700'000);
  const std::vector<FileSum> sums =
      run({{"top", "", '5'}, {"top/a", "abc"}, {"top/b/c", large}, {"./other", ""}}, {"top"});
  EXPECT_THAT(names_below(target()), ElementsAre("a", "b", "b/c", "other"));
  EXPECT_EQ(read_file(target() + "/a"), "abc");
  EXPECT_EQ(read_file(target() + "/b/c"), large);
  ASSERT_EQ(sums.size(), 3U);
  for (const FileSum& sum : sums) EXPECT_EQ(sum.sha256, sha256_of(target() + "/" + sum.path));
  EXPECT_EQ(sums[1].path, "b/c");
}

TEST_F(FetchArchive, UnpacksGzip) {
  testing::write_gzip(path(), tar({{"a", "abc"}}));
  unpack(path(), target(), {}, {});
  EXPECT_EQ(read_file(target() + "/a"), "abc");
}

TEST_F(FetchArchive, KeepsTheTopFolderIfNotAsked) {
  run({{"top/a", "abc"}, {"topping/b", ""}}, {"topping"});
  EXPECT_THAT(names_below(target()), ElementsAre("b", "top", "top/a"));
}

TEST_F(FetchArchive, RefusesNamesThatLeadOutside) {
  expect_refused({{"../evil", "x"}}, "unsafe name '../evil'");
  expect_refused({{"top/../../evil", "x"}}, "unsafe name");
  expect_refused({{"a/..", "", '5'}}, "unsafe name");
  expect_refused({{"/tmp/evil", "x"}}, "unsafe name '/tmp/evil'");
  expect_refused({{"..\\evil", "x"}}, "unsafe name");
  expect_refused({{"a\nevil", "x"}}, "unsafe name 'a?evil'");
  expect_refused({{".", "x"}}, "neither a file nor a folder");
}

TEST_F(FetchArchive, RefusesAllButFilesAndFolders) {
  expect_refused({{"a", "", '2', "/etc/passwd"}}, "'a' is neither a file nor a folder");
  expect_refused({{"a", "", '2', ".."}, {"a/evil", "x"}}, "'a' is neither");
  expect_refused({{"a", "x"}, {"b", "", '1', "a"}}, "'b' is neither");
  expect_refused({{"fifo", "", '6'}}, "'fifo' is neither");
  expect_refused({{"device", "", '3'}}, "'device' is neither");
}

TEST_F(FetchArchive, RefusesTwoOfOneName) {
  expect_refused({{"a", "x"}, {"a", "y"}}, "'a' is there twice");
}

TEST_F(FetchArchive, RefusesAFileThatIsAFolderToo) {
  expect_refused({{"a", "x"}, {"a/b", "y"}}, "'a' is a file and a folder");
}

TEST_F(FetchArchive, TakesNoMoreBytesThanAllowed) {
  expect_refused({{"a", std::string(600, 'x')}, {"b", std::string(600, 'x')}}, "more than 1.0 kB",
                 {"", 1000});
  EXPECT_THAT(names_below(target()), ElementsAre("a"));
}

TEST_F(FetchArchive, DoesNotBeginAFileThatIsTooLarge) {
  TarMember bomb{"bomb", "x"};
  bomb.declared = 4'000'000'000;
  expect_refused({bomb}, "more than 1.0 kB", {"", 1000});
  EXPECT_THAT(names_below(target()), ElementsAre());
}

TEST_F(FetchArchive, RefusesWhatIsDamaged) {
  expect_error<BadContent>([&] { run({}); }, {path(), "has no files"});
  testing::write_file(path(), "nonsense that is no archive");
  expect_error<BadContent>([&] { unpack(path(), target(), {}, {}); }, {path()});
  testing::write_file(path(), tar({{"a", testing::ramp(5000)}}).substr(0, 3000));
  expect_error<BadContent>([&] { unpack(path(), target(), {}, {}); }, {path(), "damaged"});
}

TEST_F(FetchArchive, TellsOfAFullDisk) {
  const testing_support::FileSizeLimit limit(100'000);
  expect_error<std::runtime_error>(
      [&] {
        testing::write_gzip(path(), tar({{"a", testing::ramp(150'000)}}));
        unpack(path(), target(), {}, {});
      },
      {"cannot write", target() + "/a", "free space", "--to"});
}

TEST_F(FetchArchive, CanBeStopped) {
  EXPECT_THROW(run({{"a", testing::ramp(900'000)}}, {}, testing::stop_after(1)), FetchStopped);
}

TEST_F(FetchArchive, FirstMember) {
  testing::write_file(path(), tar({{"package/a", "x"}, {"b", ""}}));
  EXPECT_EQ(first_member(path()), "package/a");
  testing::write_file(path(), "nonsense");
  EXPECT_EQ(first_member(path()), "");
  EXPECT_EQ(first_member(target() + "/absent"), "");
}

}  // namespace
}  // namespace decorr::data
