#include "decorr/io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace decorr::io {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::FileSizeLimit;
using testing_support::names_in;
using testing_support::TemporaryFolder;

TEST(AtomicFile, WritesAndReplaces) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.txt", "first, and longer");
  EXPECT_EQ(read_file(folder / "a.txt"), "first, and longer");
  write_file_atomically(folder / "a.txt", "second");
  EXPECT_EQ(read_file(folder / "a.txt"), "second");
  EXPECT_THAT(names_in(folder), ElementsAre("a.txt"));
}

TEST(AtomicFile, WritesPiecesInOrder) {
  const TemporaryFolder folder;
  const std::string large(3'000'000, 'x');
  write_file_atomically(folder / "a.bin", [&](const AppendBytes& append) {
    append("head");
    append("");
    append(large);
    append(std::string_view("\0tail", 5));
  });
  EXPECT_EQ(read_file(folder / "a.bin"), "head" + large + std::string("\0tail", 5));
}

TEST(AtomicFile, WritesNothing) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
}

TEST(AtomicFile, WritesBesideANameWithoutFolder) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("plain", "x");
  fs::current_path(before);
  EXPECT_EQ(read_file(folder / "plain"), "x");
}

TEST(AtomicFile, OldFileIsThereUntilTheNewOneIs) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  write_file_atomically(folder / "a", [&](const AppendBytes& append) {
    append("new");
    EXPECT_EQ(read_file(folder / "a"), "old");
  });
  EXPECT_EQ(read_file(folder / "a"), "new");
}

TEST(AtomicFile, KeepsTheOldFileWhenProducingFails) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  const auto produce = [](const AppendBytes& append) {
    append("half");
    throw std::out_of_range("stop");
  };
  EXPECT_THROW(write_file_atomically(folder / "a", produce), std::out_of_range);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_THAT(names_in(folder), ElementsAre("a"));
}

TEST(AtomicFile, KeepsTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  std::string message;
  {
    const FileSizeLimit limit(100'000);
    message = error_of<std::runtime_error>(
        [&] { write_file_atomically(folder / "a", std::string(300'000, 'x')); });
  }
  EXPECT_THAT(message, AllOf(HasSubstr((folder / "a").string()), HasSubstr("too large"),
                             HasSubstr("free space or choose another folder")));
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_THAT(names_in(folder), ElementsAre("a"));
}

TEST(AtomicFile, NamesAMissingFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(
      error_of<std::runtime_error>([&] { write_file_atomically(folder / "none" / "a", "text"); }),
      AllOf(HasSubstr((folder / "none" / "a").string()), HasSubstr("No such file"),
            HasSubstr("create the folder")));
  EXPECT_THAT(names_in(folder), ElementsAre());
}

TEST(AtomicFile, RefusesToReplaceWhatIsNotAFile) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "a");
  EXPECT_THAT(error_of<std::runtime_error>([&] { write_file_atomically(folder / "a", "text"); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(error_of<std::runtime_error>([] { write_file_atomically("/dev/null", "text"); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(names_in(folder), ElementsAre("a"));
}

TEST(AtomicFile, ReaderNamesThePathAndTheReason) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of<std::runtime_error>([&] { read_file(folder / "none"); }),
              AllOf(HasSubstr((folder / "none").string()), HasSubstr("No such file")));
  EXPECT_THAT(error_of<std::runtime_error>([&] { read_file(folder.path()); }),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("directory")));
}

TEST(AtomicFile, ReadsFilesWithoutAKnownSize) {
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:"));
}

TEST(AtomicFile, ConcurrentWritersDoNotMix) {
  const TemporaryFolder folder;
  std::vector<std::thread> writers;
  for (char letter = 'a'; letter <= 'd'; ++letter)
    writers.emplace_back([&folder, letter] {
      for (int i = 0; i < 10; ++i)
        write_file_atomically(folder / "shared", std::string(50'000, letter));
    });
  for (auto& writer : writers) writer.join();
  const std::string contents = read_file(folder / "shared");
  ASSERT_EQ(contents.size(), 50'000U);
  EXPECT_EQ(contents.find_first_not_of(contents[0]), std::string::npos);
  EXPECT_THAT(names_in(folder), ElementsAre("shared"));
}

TEST(AtomicFile, SweepsWhatAKilledProcessLeft) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  const pid_t child = fork();
  if (child == 0) {
    write_file_atomically(folder / "a", [](const AppendBytes& append) {
      append("half");
      raise(SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(names_in(folder).size(), 2U);
  EXPECT_EQ(read_file(folder / "a"), "old");

  EXPECT_EQ(remove_temporaries(folder.path()), 1U);
  EXPECT_THAT(names_in(folder), ElementsAre("a"));
}

TEST(AtomicFile, SweepLeavesFilesInTheMakingAndOthersAlone) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "notes.tmp", "mine");
  write_file_atomically(folder / "a", [&](const AppendBytes& append) {
    append("new");
    EXPECT_EQ(remove_temporaries(folder.path()), 0U);
  });
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_THAT(names_in(folder), ElementsAre("a", "notes.tmp"));
  EXPECT_EQ(remove_temporaries(folder / "none"), 0U);
}

TEST(AtomicFile, SweepNamesAFolderItCannotRead) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "text");
  EXPECT_THAT(error_of<std::runtime_error>([&] { remove_temporaries(folder / "a"); }),
              HasSubstr((folder / "a").string()));
}

}  // namespace
}  // namespace decorr::io
