#pragma once

#include "decorr/train/config.h"

#include <filesystem>
#include <string>

namespace decorr::train {

/// The folder of a run: `config.toml`, `metrics.jsonl`, `summary.json`, `checkpoints/`.
class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  /// Throws `std::invalid_argument`, changing nothing, unless a run of `config` can go here: the
  /// folder does not exist or is empty, or `resume` is set and it holds a run whose configuration
  /// is the same but for `train.epochs`, `train.keep`, `train.checkpoint_every` and
  /// `train.early_stopping`.
  void check(const Config& config, bool resume) const;

  /// Creates the folder if need be, locks it against other processes, and writes `config.toml`.
  /// Throws `std::runtime_error` if that fails or another process holds the lock.
  void open(const Config& config);

  /// Whether a process is at work on the run now.
  bool in_use() const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.toml"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path summary() const { return path_ / "summary.json"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

/// The configuration of the run in `path`. Throws `std::invalid_argument` if that is not a run.
Config load_run_config(const std::filesystem::path& path);

}  // namespace decorr::train
