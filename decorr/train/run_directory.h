#pragma once

#include "decorr/io/folder_lock.h"
#include "decorr/train/config.h"

#include <filesystem>
#include <string>

namespace decorr::train {

/// The folder of a run: `config.toml`, `metrics.jsonl`, `summary.json`, `checkpoints/`.
class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}

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
  io::FolderLock lock_;
};

/// The configuration of the run in `path`. Throws `std::invalid_argument` if that is not a run.
Config load_run_config(const std::filesystem::path& path);

/// Whether the folder `path` has nothing in it but a lock and half-written files: it was begun by a
/// process that ended before it wrote anything.
bool holds_nothing(const std::filesystem::path& path);

/// The first line in which two resolved configurations differ, in words: it has `lr = 0.1`, asked
/// for is `lr = 0.2`.
std::string first_difference(const std::string& old_text, const std::string& new_text);

}  // namespace decorr::train
