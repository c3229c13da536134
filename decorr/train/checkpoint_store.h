#pragma once

#include "decorr/io/safetensors.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace decorr::train {

/// What a run needs to go on as if it had never stopped.
struct Checkpoint {
  io::NamedTensors tensors;  ///< weights, R, means, feedback matrices, optimizer moments
  nlohmann::json state;      ///< everything else: counters, position in the data, settings
};

/// The checkpoints of a run, in a folder of its own (`<run>/checkpoints`).
///
/// A checkpoint is `step-0000001200.safetensors` (the tensors) and `step-0000001200.json`: format
/// version, step, name, size and CRC-32 of the tensors' file, the state and its CRC-32. Both are
/// written atomically, the JSON last: a checkpoint exists once its JSON does, so that a crash at
/// any moment leaves the ones before it whole. There is no clock in the bytes: the same tensors and
/// state saved into two folders are the same files. One process at a time may save; any number may
/// read.
class CheckpointStore {
 public:
  /// The checkpoint marked as best and the value (an accuracy, a loss) that made it so.
  struct Best {
    std::int64_t step;
    double value;
  };

  /// The store in `folder`, created by the first save(). Of the checkpoints the `keep` newest
  /// (>= 1, by step), the one just saved and the best one are kept; while one is being written
  /// there is one more. Throws `std::invalid_argument` if `keep` is below 1.
  explicit CheckpointStore(std::filesystem::path folder, std::int64_t keep = 2);

  /// Writes the checkpoint of `step` (>= 0), then deletes those that are no longer kept and what
  /// killed processes left behind. An existing checkpoint of that step is valid until the new one
  /// is. Throws `std::invalid_argument` if a tensor cannot be stored (io::write_safetensors) or the
  /// state is not representable in JSON (NaN, infinity, text that is not UTF-8),
  /// `std::runtime_error` if writing or deleting fails or `best.json` is damaged; a checkpoint that
  /// could not be written leaves the others as they were.
  void save(std::int64_t step, const Checkpoint& checkpoint);

  /// Reads the checkpoint of `step`: the bytes that were saved, or `std::runtime_error` naming the
  /// file that is missing, damaged, foreign or made by a newer version, and how to go on.
  Checkpoint load(std::int64_t step) const;

  /// Steps of the checkpoints, ascending. Files of other names do not count; none if the folder
  /// does not exist. Throws `std::runtime_error` if it cannot be read.
  std::vector<std::int64_t> steps() const;

  /// The last of steps().
  std::optional<std::int64_t> latest() const;

  /// Marks the checkpoint of `step` as the best one, in `best.json`, written atomically. Throws
  /// `std::invalid_argument` if there is none of that step or `value` is not finite.
  void mark_best(std::int64_t step, double value);

  /// The checkpoint marked as best; nothing if none was or it is no longer there. Throws
  /// `std::runtime_error` if `best.json` is damaged.
  std::optional<Best> best() const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path path_of(const std::string& name) const { return folder_ / name; }
  std::string choose_tensors_file(std::int64_t step, const Checkpoint& checkpoint) const;
  std::string how_to_go_on(std::int64_t step) const;
  void sweep() const;
  void retire(std::int64_t saved, std::optional<Best> best) const;

  std::filesystem::path folder_;
  std::int64_t keep_;
};

}  // namespace decorr::train
