#include "decorr/train/run_record.h"

#include "decorr/io/atomic_file.h"
#include "decorr/train/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <stdexcept>
#include <string>

namespace decorr::train {
namespace {

using testing::HasSubstr;
using testing_support::TemporaryFolder;

class RunRecordTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.optimizer.lr = 0.25;
    config_.train.epochs = 2;
    io::write_file_atomically(folder_ / "config.toml", to_toml(config_));
  }

  void write_epochs(int count, const std::string& tail = "") const {
    std::string text;
    for (int epoch = 1; epoch <= count; ++epoch)
      text += fmt::format("{{\"epoch\":{},\"test_acc\":0.5}}\n", epoch);
    io::write_file_atomically(folder_ / "metrics.jsonl", text + tail);
  }

  void write_summary(const std::string& status, int epochs) const {
    io::write_file_atomically(folder_ / "summary.json",
                              fmt::format("{{\"status\":\"{}\",\"epochs\":{}}}", status, epochs));
  }

  RunRecord read() const { return read_run(folder_.path()); }

  std::string failure() const {
    try {
      read();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "nothing thrown";
  }

  Config config_;
  TemporaryFolder folder_;
};

TEST_F(RunRecordTest, ReadsAFinishedRun) {
  write_epochs(2);
  for (const char* status : {"completed", "stopped-early", "diverged", "interrupted"}) {
    write_summary(status, 2);
    const RunRecord record = read();
    EXPECT_EQ(to_string(record.status), status);
    EXPECT_EQ(is_final(record.status), std::string(status) != "interrupted");
    EXPECT_EQ(record.epochs.size(), 2U);
    EXPECT_EQ(record.config.optimizer.lr, 0.25);
  }
}

TEST_F(RunRecordTest, KnowsARunThatWasKilled) {
  EXPECT_EQ(read().status, RunStatus::kKilled);  // before its first epoch
  write_epochs(2);
  EXPECT_EQ(read().status, RunStatus::kKilled);
  write_summary("interrupted", 1);  // resumed after an interrupt, then killed
  EXPECT_EQ(read().status, RunStatus::kKilled);
  write_summary("completed", 2);
  EXPECT_EQ(read().status, RunStatus::kCompleted);
  config_.train.epochs = 3;  // resumed with one more epoch, then killed in it
  io::write_file_atomically(folder_ / "config.toml", to_toml(config_));
  EXPECT_EQ(read().status, RunStatus::kKilled);
}

TEST_F(RunRecordTest, KnowsARunThatIsBeingWritten) {
  RunDirectory writer(folder_.path());
  writer.open(config_);
  write_epochs(1, "{\"epoch\":2,\"te");
  const RunRecord record = read();
  EXPECT_EQ(record.status, RunStatus::kRunning);
  EXPECT_FALSE(is_final(record.status));
  EXPECT_EQ(record.epochs.size(), 1U);
}

TEST_F(RunRecordTest, AskingDoesNotKeepAWriterOut) {
  { RunDirectory(folder_.path()).open(config_); }
  EXPECT_FALSE(RunDirectory(folder_.path()).in_use());
  RunDirectory writer(folder_.path());
  EXPECT_NO_THROW(writer.open(config_));
}

TEST_F(RunRecordTest, NamesWhatIsDamaged) {
  write_epochs(1);
  io::write_file_atomically(folder_ / "summary.json", "{\"status\":");
  EXPECT_THAT(failure(), HasSubstr("damaged summary, " + (folder_ / "summary.json").string()));
  write_summary("enchanted", 1);
  EXPECT_THAT(failure(), HasSubstr("unknown status \"enchanted\""));
  write_summary("completed", 1);
  write_epochs(1, "nonsense\n");
  EXPECT_THAT(failure(), HasSubstr("metrics.jsonl:2"));
  EXPECT_THROW(read_run(folder_ / "nowhere"), std::invalid_argument);
}

TEST_F(RunRecordTest, ListsTheSettingsThatHaveAnEffect) {
  config_.decorrelation.layers = {{"layers.0", {{"lr", 0.5}, {"gain", std::string("none")}}}};
  const auto all = settings(config_);
  const auto value = [&](const std::string& name) {
    for (const auto& [key, text] : all)
      if (key == name) return text;
    return std::string("none");
  };
  EXPECT_EQ(value("optimizer.lr"), "0.25");
  EXPECT_EQ(value("model.type"), "\"mlp\"");
  EXPECT_EQ(value("optimizer.momentum"), "none");
  EXPECT_EQ(value("decorrelation.layers"), "[{pattern = \"layers.0\", lr = 0.5, gain = \"none\"}]");
}

}  // namespace
}  // namespace decorr::train
