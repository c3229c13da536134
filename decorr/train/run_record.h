#pragma once

#include "decorr/train/config.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace decorr::train {

/// How a run ended, if it did.
enum class RunStatus {
  kCompleted,     ///< all epochs done
  kStoppedEarly,  ///< by `train.early_stopping`
  kDiverged,      ///< not finite any more
  kInterrupted,   ///< asked to stop; can be resumed
  kRunning,       ///< a process is at work on it now
  kKilled,        ///< its process ended without a word; can be resumed
};

/// `completed`, `stopped-early`, `diverged`, `interrupted`, `running` or `killed`.
std::string to_string(RunStatus status);

/// Whether a run has come to an end of its own, so that resuming it would do nothing more.
bool is_final(RunStatus status);

/// What a run directory holds, whatever state the run is in.
struct RunRecord {
  std::filesystem::path path;
  Config config;
  RunStatus status = RunStatus::kKilled;
  std::vector<nlohmann::ordered_json> epochs;  ///< rows of `metrics.jsonl` that are whole
  nlohmann::ordered_json summary;              ///< `summary.json`; null if it has none
};

/// Reads the run in `path` and changes nothing. A run that is being written gives the epochs that
/// are whole. Throws `std::invalid_argument` if that is not a run, `std::runtime_error`, naming the
/// file, if something in it is damaged.
RunRecord read_run(const std::filesystem::path& path);

/// The keys of `config` that have an effect, each by its full name (`optimizer.lr`) with its value
/// in TOML, in the order of to_toml(). The settings by layer are one entry,
/// `decorrelation.layers`.
std::vector<std::pair<std::string, std::string>> settings(const Config& config);

}  // namespace decorr::train
