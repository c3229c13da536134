#pragma once

#include "decorr/report/run.h"
#include "decorr/train/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

// Runs by hand.
namespace decorr::report {

/// A run with these test accuracies; each epoch takes `seconds`. Settings besides seed, method,
/// rule and data are up to the test.
inline Run make_run(const std::string& path, std::int64_t seed, const std::vector<double>& accuracy,
                    const std::string& method = "none", double seconds = 2) {
  Run run;
  run.path = path;
  run.name = run.path.filename().string();
  run.seed = seed;
  run.status = train::RunStatus::kCompleted;
  run.settings = {{"seed", std::to_string(seed)},
                  {"data.name", "\"fashion-mnist\""},
                  {"learning.rule", "\"backprop\""},
                  {"optimizer.lr", "0.001"},
                  {"decorrelation.method", "\"" + method + "\""},
                  {"train.epochs", std::to_string(accuracy.size())},
                  {"train.threads", "1"}};
  for (std::size_t i = 0; i < accuracy.size(); ++i) {
    Epoch epoch;
    epoch.number = static_cast<std::int64_t>(i) + 1;
    epoch.step = 10 * epoch.number;
    epoch.seconds = seconds * static_cast<double>(i + 1);
    epoch.values.fill(kUnknown);
    epoch.values[kTestAccuracy] = accuracy[i];
    epoch.values[kTrainAccuracy] = accuracy[i] + 0.01;
    epoch.values[kTrainLoss] = 1 - accuracy[i];
    epoch.values[kTestLoss] = 1.1 - accuracy[i];
    run.epochs.push_back(epoch);
  }
  return run;
}

/// A row of metrics.jsonl with more fields, which begin with a comma.
inline std::string metrics_row(int epoch, double accuracy, const std::string& more = "") {
  return fmt::format(
      "{{\"epoch\":{},\"step\":{},\"train_loss\":0.5,\"train_acc\":0.75,\"test_loss\":0.625,"
      "\"test_acc\":{},\"train_seconds\":2.0{},\"layers\":[{{\"path\":\"layers.0\",\"energy\":0.5,"
      "\"input_energy\":4.0,\"matrix_norm\":1.5,\"updates\":9,\"skipped\":1,\"shortened\":0}}]}}\n",
      epoch, 10 * epoch, accuracy, more);
}

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

/// Writes a run that has ended, one epoch for each accuracy.
inline void write_run(const std::filesystem::path& folder, std::int64_t seed,
                      const std::vector<double>& accuracy,
                      const std::string& method = "norm-preserving") {
  train::Config config;
  config.seed = seed;
  config.decorrelation.options.method = method;
  config.train.epochs = std::max<std::int64_t>(1, static_cast<std::int64_t>(accuracy.size()));
  write_text(folder / "config.toml", train::to_toml(config));
  std::string rows;
  for (std::size_t i = 0; i < accuracy.size(); ++i)
    rows += metrics_row(static_cast<int>(i) + 1, accuracy[i]);
  write_text(folder / "metrics.jsonl", rows);
  write_text(folder / "summary.json",
             fmt::format("{{\"status\":\"completed\",\"epochs\":{}}}", accuracy.size()));
}

}  // namespace decorr::report
