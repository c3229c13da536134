#include "decorr/train/progress.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace decorr::train {
namespace {

std::string contents(std::FILE* file) {
  std::rewind(file);
  std::string text(1000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  return text;
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    Progress progress(file);
    progress.start_epoch(1, 2, 0, 100);
    for (int i = 1; i <= 100; ++i) progress.update(i, 0.5, 0.25);
    progress.status("2 of 3 done");
    progress.line("epoch 1/2");
  }
  EXPECT_EQ(contents(file), "epoch 1/2\n");
  std::fclose(file);
}

TEST(Progress, QuietWritesNothing) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  Progress(file, true).line("epoch 1/2");
  EXPECT_EQ(contents(file), "");
  std::fclose(file);
}

TEST(Progress, FormatsDurations) {
  EXPECT_EQ(format_duration(0.4), "0 s");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(187), "3:07");
  EXPECT_EQ(format_duration(3723), "1:02:03");
}

}  // namespace
}  // namespace decorr::train
