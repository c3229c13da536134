#include "decorr/io/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// The error of the next calls of flock(), for so many of them.
int lock_error = 0;
int failing_calls = 0;

}  // namespace

// In the place of the system's one.
extern "C" int flock(int file, int operation) noexcept {
  if (failing_calls == 0) return static_cast<int>(syscall(SYS_flock, file, operation));
  --failing_calls;
  errno = lock_error;
  return -1;
}

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

TEST(FolderLock, TriesAgainAfterASignal) {
  const TemporaryFolder folder;
  FolderLock lock;
  lock_error = EINTR;
  failing_calls = 2;
  EXPECT_TRUE(lock.take(folder.path()));
  EXPECT_TRUE(FolderLock::held(folder.path()));
}

TEST(FolderLock, DoesWithoutWhereThereAreNoLocks) {
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP}) {
    const TemporaryFolder folder;
    FolderLock lock;
    lock_error = error;
    failing_calls = 1000;  // more than it tries
    EXPECT_TRUE(lock.take(folder.path()));
    EXPECT_FALSE(FolderLock::held(folder.path()));
    failing_calls = 0;
  }
}

TEST(FolderLock, SaysWhyItCannotLock) {
  const TemporaryFolder folder;
  FolderLock lock;
  lock_error = EIO;
  failing_calls = 1;
  EXPECT_THAT(error_of<std::runtime_error>([&] { lock.take(folder.path()); }),
              testing::AllOf(testing::HasSubstr("cannot lock"), testing::HasSubstr("Input/output"),
                             testing::HasSubstr((folder / "lock").string())));
  EXPECT_EQ(failing_calls, 0);
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
