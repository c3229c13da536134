#include "decorr/data/fetch/workspace.h"

#include "tests/data/fetch/support.h"
#include <memory>

namespace decorr::data {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using testing::names_below;
using testing::TemporaryFolder;

TEST(Workspace, PublishesTheResultAndLeavesNothingElse) {
  const TemporaryFolder folder;
  {
    Workspace workspace(folder / "below/target");
    testing::write_file(workspace.result() / "a", "abc");
    testing::write_file(workspace.downloads() / "archive", "x");
    testing::write_file(workspace.scratch() / "b", "x");
    EXPECT_FALSE(std::filesystem::exists(folder / "below/target"));
    workspace.publish();
    EXPECT_EQ(testing::read_file(folder / "below/target/a"), "abc");
  }
  EXPECT_THAT(names_below(folder.str()), ElementsAre("below", "below/target", "below/target/a"));
}

TEST(Workspace, KeepsDownloadsOnly) {
  const TemporaryFolder folder;
  {
    const Workspace workspace(folder / "target");
    testing::write_file(workspace.result() / "a", "abc");
    testing::write_file(workspace.scratch() / "b", "x");
    testing::write_file(workspace.downloads() / "archive.part", "x");
  }
  EXPECT_EQ(testing::read_file(folder / "target.part/downloads/archive.part"), "x");
  EXPECT_FALSE(std::filesystem::exists(folder / "target.part/result"));
  EXPECT_FALSE(std::filesystem::exists(folder / "target.part/scratch"));
  const Workspace workspace(folder / "target");
  EXPECT_EQ(testing::read_file(workspace.downloads() / "archive.part"), "x");
}

TEST(Workspace, LeavesNothingWithoutDownloads) {
  const TemporaryFolder folder;
  { const Workspace workspace(folder / "target"); }
  EXPECT_THAT(names_below(folder.str()), ElementsAre());
}

TEST(Workspace, RemovesWhatAKillLeft) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "target.part/result/deep");
  std::filesystem::create_directories(folder / "target.part/scratch");
  testing::write_file(folder / "target.part/lock", "");
  testing::write_file(folder / "target.part/result/deep/a", "half");
  const Workspace workspace(folder / "target");
  EXPECT_TRUE(std::filesystem::is_empty(workspace.result()));
  EXPECT_TRUE(std::filesystem::is_empty(workspace.scratch()));
}

TEST(Workspace, BelongsToOneAtATime) {
  const TemporaryFolder folder;
  auto first = std::make_unique<Workspace>(folder / "target");
  testing::write_file(first->result() / "a", "abc");
  expect_error<std::runtime_error>([&] { Workspace(folder / "target"); },
                                   {"another process", folder / "target"});
  EXPECT_EQ(testing::read_file(first->result() / "a"), "abc");
  const Workspace other(folder / "other");
  first.reset();
  const Workspace second(folder / "target");
}

TEST(Workspace, GivesTheLockBackIfItCannotBegin) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "target.part");
  testing::write_file(folder / "target.part/downloads", "no folder");
  for (int i = 0; i < 2; ++i)
    EXPECT_THROW(Workspace(folder / "target"), std::filesystem::filesystem_error);
  std::filesystem::remove(folder / "target.part/downloads");
  const Workspace workspace(folder / "target");
}

TEST(Workspace, TellsWhatIsInTheWay) {
  const TemporaryFolder folder;
  testing::write_file(folder / "file.part", "x");
  expect_error<std::runtime_error>([&] { Workspace(folder / "file"); },
                                   {folder / "file.part", "--to"});
  testing::write_file(folder / "file", "x");
  expect_error<std::runtime_error>([&] { Workspace(folder / "file/target"); },
                                   {folder / "file/target.part", "--to"});
  Workspace workspace(folder / "taken");
  std::filesystem::create_directories(folder / "taken/by");
  expect_error<std::runtime_error>([&] { workspace.publish(); },
                                   {folder / "taken", "remove what is there"});
  EXPECT_TRUE(std::filesystem::exists(folder / "taken/by"));
}

}  // namespace
}  // namespace decorr::data
