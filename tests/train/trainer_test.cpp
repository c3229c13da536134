#include "decorr/train/trainer.h"

#include "decorr/core/random.h"
#include "decorr/core/threads.h"
#include "decorr/io/atomic_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <filesystem>
#include <string>
#include <vector>

namespace decorr::train {
namespace {

using testing::HasSubstr;
using testing_support::TemporaryFolder;

std::string big_endian(std::initializer_list<std::uint32_t> numbers) {
  std::string bytes;
  for (const std::uint32_t number : numbers)
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<char>(number >> shift & 0xFF));
  return bytes;
}

// A data set of `count` images of 6 x 6 pixels in two parts; class k is bright in its own rows.
void write_part(const TemporaryFolder& folder, const std::string& prefix, std::uint32_t count,
                std::uint64_t stream) {
  const RandomStream random(3, stream);
  std::string images = big_endian({0x803, count, 6, 6});
  std::string labels = big_endian({0x801, count});
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::uint32_t>(random.below(3, 1000000 + i));
    labels.push_back(static_cast<char>(label));
    for (std::uint32_t pixel = 0; pixel < 36; ++pixel) {
      const std::uint64_t noise = random.below(120, i * 36 + pixel);
      images.push_back(static_cast<char>(noise + (pixel / 12 == label ? 100 : 0)));
    }
  }
  io::write_file_atomically(folder / (prefix + "-images-idx3-ubyte"), images);
  io::write_file_atomically(folder / (prefix + "-labels-idx1-ubyte"), labels);
}

class TrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    write_part(folder_, "train", 203, 1);
    write_part(folder_, "t10k", 50, 2);
  }

  Config config() const {
    Config result;
    result.data.name = "mnist";
    result.data.root = folder_.path().string();
    result.model.hidden = {8};
    result.decorrelation.options.update_every = 1;
    result.train.epochs = 3;
    result.train.batch_size = 16;
    result.train.threads = 1;
    return result;
  }

  std::filesystem::path out(const std::string& name) const { return folder_ / name; }

  // Trains until step `stop` (0: to the end) in a trainer of its own.
  Outcome train(const Config& config, const std::string& name, bool resume = false,
                std::int64_t stop = 0) {
    Progress progress(stdout, /*quiet=*/true);
    Trainer trainer(config, out(name), resume, progress);
    const Outcome outcome = trainer.run([&] { return stop > 0 && trainer.state().step >= stop; });
    state_ = trainer.state();
    return outcome;
  }

  std::string tensors_of(const std::string& name) const {
    const CheckpointStore store(out(name) / "checkpoints", 3);
    return io::read_file(store.folder() /
                         fmt::format("step-{:010}.safetensors", store.latest().value()));
  }

  std::vector<nlohmann::ordered_json> rows(const std::string& name) const {
    return MetricsLog(out(name) / "metrics.jsonl").rows();
  }

  TemporaryFolder folder_;
  RunState state_;
};

// What a callable throws.
template <typename Exception>
std::string thrown_by(const std::function<void()>& action) {
  try {
    action();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST_F(TrainerTest, LearnsAndWritesTheRunDirectory) {
  Config quick = config();
  quick.optimizer.lr = 0.01;
  ASSERT_EQ(train(quick, "run"), Outcome::kCompleted);
  const auto metrics = rows("run");
  ASSERT_EQ(metrics.size(), 3U);
  EXPECT_EQ(metrics[2].at("epoch"), 3);
  EXPECT_EQ(metrics[2].at("step"), 39);
  EXPECT_LT(metrics[2].at("train_loss").get<double>(), metrics[0].at("train_loss").get<double>());
  EXPECT_GT(metrics[2].at("test_acc").get<double>(), 0.9);
  ASSERT_EQ(metrics[2].at("layers").size(), 2U);
  EXPECT_EQ(metrics[2].at("layers")[0].at("path"), "layers.0");
  EXPECT_EQ(metrics[2].at("layers")[0].at("updates"), 39);
  EXPECT_LT(metrics[2].at("layers")[0].at("energy").get<double>(),
            metrics[2].at("layers")[0].at("input_energy").get<double>());

  const auto summary = nlohmann::json::parse(io::read_file(out("run") / "summary.json"));
  EXPECT_EQ(summary.at("status"), "completed");
  EXPECT_EQ(summary.at("final").at("test_acc").get<double>(),
            metrics[2].at("test_acc").get<double>());
  EXPECT_EQ(summary.at("parameters"), 36 * 8 + 8 + 8 * 10 + 10);
  EXPECT_EQ(summary.at("best").at("selected_by"), "test_loss");
  EXPECT_EQ(to_toml(load_run_config(out("run"))), to_toml(quick));
}

TEST_F(TrainerTest, ResumedRunEndsWithTheSameBytes) {
  Config variants[3] = {config(), config(), config()};
  variants[1].train.accumulate = 3;
  variants[1].data.crop_padding = 1;
  variants[1].data.flip = true;
  variants[1].optimizer.schedule.kind = "cosine";
  variants[2].decorrelation.options.update_every = 2;
  variants[2].optimizer.type = "sgd";
  variants[2].optimizer.momentum = 0.9;
  variants[2].optimizer.lr = 0.05;
  variants[2].train.checkpoint_every = 4;
  variants[2].data.validation = 20;
  for (const Config& variant : variants) {
    SCOPED_TRACE(to_toml(variant));
    ASSERT_EQ(train(variant, "whole"), Outcome::kCompleted);
    ASSERT_EQ(train(variant, "parts", false, 2), Outcome::kInterrupted);
    ASSERT_EQ(train(variant, "parts", true, 7), Outcome::kInterrupted);
    EXPECT_EQ(state_.step, 7);
    ASSERT_EQ(train(variant, "parts", true), Outcome::kCompleted);
    EXPECT_TRUE(tensors_of("whole") == tensors_of("parts"));
    const auto whole = rows("whole"), parts = rows("parts");
    ASSERT_EQ(whole.size(), parts.size());
    for (std::size_t i = 0; i < whole.size(); ++i)
      for (const char* key : {"epoch", "step", "train_loss", "train_acc", "test_loss", "layers"})
        EXPECT_EQ(whole[i].at(key), parts[i].at(key)) << key << " of row " << i;
    std::filesystem::remove_all(out("whole"));
    std::filesystem::remove_all(out("parts"));
  }
}

TEST_F(TrainerTest, RowsBeyondTheCheckpointAreDropped) {
  ASSERT_EQ(train(config(), "run", false, 20), Outcome::kInterrupted);
  const MetricsLog log(out("run") / "metrics.jsonl");
  ASSERT_EQ(log.rows().size(), 1U);
  log.append({{"epoch", 2}, {"step", 26}});
  std::FILE* file = std::fopen((out("run") / "metrics.jsonl").c_str(), "a");
  ASSERT_NE(file, nullptr);
  std::fputs("{\"epoch\":3,\"st", file);  // a line that a crash has cut off
  std::fclose(file);
  ASSERT_EQ(train(config(), "run", true), Outcome::kCompleted);
  const auto metrics = rows("run");
  ASSERT_EQ(metrics.size(), 3U);
  EXPECT_EQ(metrics[1].at("step"), 26);
  EXPECT_TRUE(metrics[1].contains("test_acc"));
  EXPECT_EQ(metrics[1].at("resumed_at_step"), 20);
}

TEST_F(TrainerTest, ResumingAFinishedRunChangesNothing) {
  ASSERT_EQ(train(config(), "run"), Outcome::kCompleted);
  const std::string before = tensors_of("run");
  ASSERT_EQ(train(config(), "run", true), Outcome::kCompleted);
  EXPECT_TRUE(before == tensors_of("run"));
  EXPECT_EQ(rows("run").size(), 3U);
  // With more epochs it goes on.
  Config longer = config();
  longer.train.epochs = 4;
  ASSERT_EQ(train(longer, "run", true), Outcome::kCompleted);
  EXPECT_EQ(rows("run").size(), 4U);
}

TEST_F(TrainerTest, DivergenceKeepsTheLastGoodCheckpoint) {
  Config wild = config();
  wild.optimizer.type = "sgd";
  wild.optimizer.lr = 1e30;
  wild.train.checkpoint_every = 1;
  ASSERT_EQ(train(wild, "run"), Outcome::kDiverged);
  const auto summary = nlohmann::json::parse(io::read_file(out("run") / "summary.json"));
  EXPECT_EQ(summary.at("status"), "diverged");
  const CheckpointStore store(out("run") / "checkpoints", 3);
  const Checkpoint good = store.load(store.latest().value());
  for (const auto& [name, tensor] : good.tensors)
    if (tensor.is_floating_point()) {
      EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
    }
}

TEST_F(TrainerTest, EarlyStoppingEndsTheRun) {
  Config patient = config();
  patient.train.epochs = 200;
  patient.train.early_stopping = 2;
  patient.optimizer.lr = 0.1;  // too large to keep improving
  patient.data.validation = 20;
  ASSERT_EQ(train(patient, "run"), Outcome::kStoppedEarly);
  const auto metrics = rows("run");
  ASSERT_LT(metrics.size(), 200U);
  ASSERT_GT(metrics.size(), 2U);
  const auto summary = nlohmann::json::parse(io::read_file(out("run") / "summary.json"));
  EXPECT_EQ(summary.at("best").at("selected_by"), "validation_loss");
  EXPECT_EQ(summary.at("best").at("epoch").get<std::size_t>(), metrics.size() - 2);
  // The best checkpoint is there, though newer ones were written.
  const CheckpointStore store(out("run") / "checkpoints", 1);
  ASSERT_TRUE(store.best().has_value());
  EXPECT_EQ(store.best()->step, summary.at("best").at("step").get<std::int64_t>());
  EXPECT_NO_THROW(store.load(store.best()->step));
  // Resuming does not start it again.
  ASSERT_EQ(train(patient, "run", true), Outcome::kStoppedEarly);
  EXPECT_EQ(rows("run").size(), metrics.size());
}

TEST_F(TrainerTest, SmallBatchesAreSkippedAndCounted) {
  // 203 = 12·16 + 11: with batches of 202 the last one has a single image.
  Config config_202 = config();
  config_202.train.batch_size = 202;
  ASSERT_EQ(train(config_202, "run"), Outcome::kCompleted);
  const auto layer = rows("run").back().at("layers")[0];
  EXPECT_EQ(layer.at("updates"), 3);
  EXPECT_EQ(layer.at("skipped"), 3);
}

TEST_F(TrainerTest, RefusesAnExistingRunWithoutResume) {
  ASSERT_EQ(train(config(), "run"), Outcome::kCompleted);
  const std::string before = tensors_of("run");
  EXPECT_THAT(thrown_by<std::invalid_argument>([&] { train(config(), "run"); }),
              HasSubstr("exists and is not empty"));
  EXPECT_TRUE(before == tensors_of("run"));
}

TEST_F(TrainerTest, RefusesAnotherConfigurationOrData) {
  ASSERT_EQ(train(config(), "run", false, 20), Outcome::kInterrupted);
  Config other = config();
  other.optimizer.lr = 0.5;
  EXPECT_THAT(thrown_by<std::invalid_argument>([&] { train(other, "run", true); }),
              testing::AllOf(HasSubstr("another configuration"), HasSubstr("lr = 0.5")));
  write_part(folder_, "train", 203, 9);
  EXPECT_THAT(thrown_by<std::runtime_error>([&] { train(config(), "run", true); }),
              HasSubstr("training data has changed"));
}

TEST_F(TrainerTest, RefusesAFolderThatIsNoRun) {
  std::filesystem::create_directories(out("stuff"));
  io::write_file_atomically(out("stuff") / "notes.txt", "mine");
  EXPECT_THAT(thrown_by<std::invalid_argument>([&] { train(config(), "stuff", true); }),
              HasSubstr("not a run directory"));
  EXPECT_EQ(testing_support::names_in(out("stuff")), (std::vector<std::string>{"notes.txt"}));
}

TEST_F(TrainerTest, RefusesASecondProcessInTheSameRun) {
  Progress progress(stdout, true);
  Trainer first(config(), out("run"), false, progress);
  std::string message = "not asked";
  first.run([&] {
    message = thrown_by<std::runtime_error>([&] { train(config(), "run", true); });
    return true;
  });
  EXPECT_THAT(message, HasSubstr("in use by another process"));
}

TEST_F(TrainerTest, NothingIsWrittenForBadInput) {
  Config bad = config();
  bad.data.root = (folder_ / "nowhere").string();
  EXPECT_THROW(train(bad, "run"), std::runtime_error);
  bad = config();
  bad.decorrelation.layers.push_back({"conv*", {{"lr", 0.1}}});
  EXPECT_THROW(train(bad, "run"), ConfigError);
  EXPECT_FALSE(std::filesystem::exists(out("run")));
}

TEST_F(TrainerTest, DoesNotDependOnMicroBatchesExceptForTheSample) {
  // Without decorrelation the gradient of a step is the same however it is split.
  Config whole = config();
  whole.decorrelation.options.method = "none";
  whole.train.precision = "float64";
  whole.train.batch_size = 32;
  Config split = whole;
  split.train.batch_size = 8;
  split.train.accumulate = 4;
  ASSERT_EQ(train(whole, "whole"), Outcome::kCompleted);
  ASSERT_EQ(train(split, "split"), Outcome::kCompleted);
  EXPECT_EQ(rows("whole").back().at("step"), rows("split").back().at("step"));
  EXPECT_NEAR(rows("whole").back().at("test_loss").get<double>(),
              rows("split").back().at("test_loss").get<double>(), 1e-10);
}

}  // namespace
}  // namespace decorr::train
