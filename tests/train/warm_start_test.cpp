#include "decorr/train/warm_start.h"

#include "decorr/io/atomic_file.h"
#include "decorr/nn/update.h"
#include "decorr/train/run_directory.h"
#include "decorr/train/setup.h"
#include "decorr/train/trainer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <functional>
#include <string>

namespace decorr::train {
namespace {

using testing::HasSubstr;
using testing_support::TemporaryFolder;

// `count` images of 8 x 8 pixels in IDX form; class k has its row bright.
void write_part(const TemporaryFolder& folder, const std::string& prefix, std::uint32_t count) {
  const auto header = [](std::initializer_list<std::uint32_t> numbers) {
    std::string bytes;
    for (const std::uint32_t number : numbers)
      for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<char>(number >> shift & 0xFF));
    return bytes;
  };
  const RandomStream random(3, prefix);
  std::string images = header({0x803, count, 8, 8}), labels = header({0x801, count});
  for (std::uint32_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<char>(i % 3));
    for (std::uint32_t pixel = 0; pixel < 64; ++pixel)
      images.push_back(
          static_cast<char>(random.below(120, i * 64 + pixel) + (pixel / 8 == i % 3 ? 100 : 0)));
  }
  io::write_file_atomically(folder / (prefix + "-images-idx3-ubyte"), images);
  io::write_file_atomically(folder / (prefix + "-labels-idx1-ubyte"), labels);
}

class WarmStart : public testing::Test {
 protected:
  void SetUp() override {
    write_part(folder_, "train", 120);
    write_part(folder_, "t10k", 60);
  }

  Config config(const std::string& type, const std::string& method) const {
    Config result;
    result.data.name = "mnist";
    result.data.root = folder_.path().string();
    result.model.type = type;
    result.model.hidden = {8};
    result.model.conv_widths = {4, 4};
    result.model.dense_widths = {8};
    result.decorrelation.options.method = method;
    result.train.epochs = 1;
    result.train.batch_size = 20;
    result.train.threads = 1;
    result.train.precision = "float64";
    return result;
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void train(const Config& config, const std::string& name) {
    Progress progress(stdout, /*quiet=*/true);
    Trainer trainer(config, path(name), /*resume=*/false, progress);
    ASSERT_EQ(trainer.run([] { return false; }), Outcome::kCompleted);
  }

  // The test loss of a run's last epoch.
  double final_loss(const std::string& name) const {
    return MetricsLog(folder_ / name / "metrics.jsonl").rows().back().at("test_loss");
  }

  // The test loss of a new run before its first step.
  double first_loss(const Config& config) const {
    const Datasets data = load_datasets(config);
    const auto model = make_model(config, data.train);
    load_initial_weights(*model, config, data.train);
    data::Loader loader(data.test, evaluation_loader(config, data.normalization));
    return evaluate(*model, loader, learning::Loss(config.learning.loss)).loss();
  }

  std::string error_of(const Config& config) const {
    try {
      first_loss(config);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "no std::runtime_error was thrown";
  }

  TemporaryFolder folder_;
};

TEST_F(WarmStart, StartsWhereTheOldRunEnded) {
  for (const std::string type : {"mlp", "convnet"})
    for (const std::string method : {"none", "norm-preserving", "zca"})
      for (const bool bias : {true, false}) {
        if (type == "convnet" && method != "norm-preserving") continue;
        SCOPED_TRACE(fmt::format("{} {} {}", type, method, bias));
        Config old = config(type, method);
        old.model.bias = bias;
        old.decorrelation.options.refresh_every = 2;
        const std::string name = fmt::format("{}-{}-{}", type, method, bias);
        train(old, name);
        Config warm = config(type, "norm-preserving");
        warm.model.bias = bias;
        warm.train.initial_weights = path(name);
        EXPECT_NEAR(first_loss(warm), final_loss(name), 1e-10);
        // A checkpoint by its file, and numbers of another type.
        warm.train.initial_weights = path(name) + "/checkpoints/step-0000000006.safetensors";
        warm.train.precision = "float32";
        EXPECT_NEAR(first_loss(warm), final_loss(name), 1e-5);
        warm.train.initial_weights = path(name) + "/checkpoints/step-0000000000.json";
        EXPECT_GT(std::abs(first_loss(warm) - final_loss(name)), 1e-3);
      }
}

TEST_F(WarmStart, TrainerStartsFromThemAndResumingDoesNot) {
  train(config("mlp", "none"), "plain");
  Config warm = config("mlp", "norm-preserving");
  warm.train.initial_weights = path("plain");
  const auto load = [&](const std::string& name, bool resume, Progress& progress) {
    return std::make_unique<Trainer>(warm, path(name), resume, progress);
  };
  Progress progress(stdout, /*quiet=*/true);
  {
    const auto trainer = load("warm", false, progress);
    for (const nn::LocatedLayer& layer : nn::decorrelated_layers(trainer->model()))
      EXPECT_TRUE(at::equal(layer.layer->decorrelator()->matrix(),
                            at::eye(layer.layer->decorrelator()->features(), at::kDouble)));
    ASSERT_EQ(trainer->run([&] { return trainer->state().step == 3; }), Outcome::kInterrupted);
  }
  EXPECT_THAT(io::read_file(folder_ / "warm" / "config.toml"),
              HasSubstr("initial_weights = \"" + path("plain") + "\""));
  std::filesystem::remove_all(path("plain"));
  const auto resumed = load("warm", true, progress);
  EXPECT_EQ(resumed->state().step, 3);
  EXPECT_EQ(resumed->run([] { return false; }), Outcome::kCompleted);
}

TEST_F(WarmStart, NamesTheFirstTensorThatDoesNotFit) {
  train(config("mlp", "none"), "plain");
  Config warm = config("mlp", "norm-preserving");
  warm.train.initial_weights = path("plain");
  Config other = warm;
  other.model.hidden = {9};
  EXPECT_THAT(error_of(other), HasSubstr("layers.0.bias is [8] and should be [9]: use the same"));
  other.model.hidden = {8, 8};
  EXPECT_THAT(error_of(other), HasSubstr("layers.1.bias is [10] and should be [8]"));
  other = warm;
  other.model.bias = false;
  EXPECT_THAT(error_of(other), HasSubstr("the model has no layers.0.bias: use the same [model]"));
  other = warm;
  other.model.type = "convnet";
  EXPECT_THAT(error_of(other), HasSubstr("they have no "));
  other.train.initial_weights = path("nowhere");
  EXPECT_THAT(error_of(other), HasSubstr("there are no initial weights, train.initial_weights ="));
  other.train.initial_weights = folder_.path().string();
  EXPECT_THAT(error_of(other), HasSubstr("not of a run of decorr train"));
  other.train.initial_weights = path("plain") + "/config.toml";
  EXPECT_THAT(error_of(other), HasSubstr("not of a run of decorr train"));
  other.train.initial_weights = path("plain") + "/checkpoints/best.json";
  EXPECT_THAT(error_of(other), HasSubstr("no checkpoint, "));
}

TEST_F(WarmStart, WhatFoldingLeavesOverNeedsAPlace) {
  Config old = config("mlp", "norm-preserving");
  old.model.bias = false;
  train(old, "offset");
  Config warm = config("mlp", "none");
  warm.model.bias = false;
  warm.train.initial_weights = path("offset");
  EXPECT_THAT(error_of(warm), HasSubstr("the model has no layers.0.bias_offset: it stands for"));
  old = config("convnet", "norm-preserving");
  old.decorrelation.options.pad = "demeaned";
  train(old, "mean");
  warm = config("convnet", "norm-preserving");
  warm.train.initial_weights = path("mean");
  EXPECT_THAT(error_of(warm), HasSubstr("input_mean: the old run padded demeaned images"));
}

}  // namespace
}  // namespace decorr::train
