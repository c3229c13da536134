#include "decorr/io/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <csignal>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace decorr::io {
namespace {

using testing_support::error_of;
using testing_support::names_in;
using testing_support::TemporaryFolder;

TEST(FolderLock, KeepsOthersOutUntilItEnds) {
  const TemporaryFolder folder;
  EXPECT_FALSE(FolderLock::held(folder.path()));
  EXPECT_TRUE(names_in(folder).empty());  // asking leaves nothing behind
  {
    FolderLock first, second;
    EXPECT_TRUE(first.take(folder.path()));
    EXPECT_TRUE(FolderLock::held(folder.path()));
    EXPECT_FALSE(second.take(folder.path()));
  }
  EXPECT_FALSE(FolderLock::held(folder.path()));
  FolderLock third;
  EXPECT_TRUE(third.take(folder.path()));
}

TEST(FolderLock, ProgramsStartedMeanwhileDoNotHaveIt) {
  const TemporaryFolder folder;
  pid_t sleeper = -1;
  {
    FolderLock lock;
    ASSERT_TRUE(lock.take(folder.path()));
    sleeper = fork();
    if (sleeper == 0) {
      execl("/bin/sleep", "sleep", "60", nullptr);
      _exit(1);
    }
  }
  FolderLock again;
  EXPECT_TRUE(again.take(folder.path()));  // its tries outlast the time until sleep has begun
  kill(sleeper, SIGKILL);
  waitpid(sleeper, nullptr, 0);
}

TEST(FolderLock, NamesAFolderThatIsNotThere) {
  const TemporaryFolder folder;
  FolderLock lock;
  EXPECT_FALSE(FolderLock::held(folder / "none"));
  EXPECT_THAT(error_of<std::runtime_error>([&] { lock.take(folder / "none"); }),
              testing::HasSubstr((folder / "none").string()));
}

}  // namespace
}  // namespace decorr::io
