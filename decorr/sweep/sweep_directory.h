#pragma once

#include "decorr/io/folder_lock.h"
#include "decorr/sweep/plan.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// The folder of a sweep. Internal to sweep/: not installed.
namespace decorr::sweep {

/// What a sweep remembers beside its runs, in `state.json`.
struct SweepState {
  std::int64_t threads = 0;  ///< of runs whose configuration leaves them open; 0: not decided yet
  std::int64_t asked_threads = 0;  ///< that SweepOptions asked for, of all runs; 0: for none
  nlohmann::ordered_json decisions = nlohmann::ordered_json::object();  ///< of the StopRule
};

/// How many runs SweepDirectory::arrange_final_runs() has moved.
struct FinalMoves {
  std::size_t away = 0, back = 0;
};

/// The folder of a sweep: `sweep.toml`, `state.json`, run directories in `runs/`, `final/` and
/// `final-old/`, results.
class SweepDirectory {
 public:
  explicit SweepDirectory(std::filesystem::path path) : path_(std::move(path)) {}

  /// Throws `std::invalid_argument`, changing nothing, unless the sweep of `plan` can go on here:
  /// the folder does not exist or is empty, or it holds a sweep whose `[sweep]` and `[stop]` are
  /// the same, whose every run is one of the plan's with the same configuration, and which no other
  /// process is at work on. The plan may have more runs.
  void check(const Plan& plan) const;

  /// Creates and locks the folder, and writes the plan's `sweep.toml`. Throws like check(), and
  /// `std::runtime_error` if something cannot be written.
  void open(const Plan& plan);

  /// `state.json`, or the state of a new sweep. Throws `std::runtime_error` if it is damaged.
  SweepState state() const;
  void save(const SweepState& state) const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path runs() const { return path_ / "runs"; }
  std::filesystem::path final_runs() const { return path_ / "final"; }
  std::filesystem::path old_final_runs() const { return path_ / "final-old"; }

  /// Moves the runs in `final/` that are not `planned` to `final-old/`, and planned ones with the
  /// same configuration back from there. Throws `std::runtime_error` if that fails.
  FinalMoves arrange_final_runs(const std::vector<Run>& planned) const;

  /// Whether another process is at work on a run in `final/` that is not `planned`.
  bool unplanned_in_use(const std::vector<Run>& planned) const;

 private:
  void check_sweep(const Plan& plan) const;

  std::filesystem::path path_;
  io::FolderLock lock_;
};

}  // namespace decorr::sweep
