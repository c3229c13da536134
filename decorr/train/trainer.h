#pragma once

#include "decorr/learning/rule.h"
#include "decorr/linalg/precision.h"
#include "decorr/train/checkpoint_store.h"
#include "decorr/train/evaluate.h"
#include "decorr/train/metrics.h"
#include "decorr/train/progress.h"
#include "decorr/train/run_directory.h"
#include "decorr/train/setup.h"
#include "decorr/whitening/decorrelator.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace decorr::train {

/// How a run ended.
enum class Outcome {
  kCompleted,     ///< all epochs done
  kStoppedEarly,  ///< no better loss for `train.early_stopping` epochs
  kInterrupted,   ///< asked to stop; a checkpoint was written
  kDiverged,      ///< loss, gradient or parameters not finite; the last good checkpoint is kept
};

/// `completed`, `stopped-early`, `interrupted` or `diverged`.
std::string to_string(Outcome outcome);

/// Where a run stands: with the tensors, all that resuming needs. No clock in it, so that a resumed
/// run writes the same bytes as one that never stopped.
struct RunState {
  std::int64_t step = 0;   ///< optimizer steps done
  std::int64_t epoch = 0;  ///< epochs done
  std::int64_t batch = 0;  ///< micro-batches of the current epoch consumed
  Score running;           ///< training score of the current epoch so far
  double best_loss = 0;    ///< lowest monitored loss so far, valid if best_step > 0
  std::int64_t best_step = 0;
  std::int64_t epochs_since_best = 0;
  bool stopped = false;  ///< early stopping has ended the run
};

/// Trains one network as a configuration says, and never loses more than the steps since the last
/// checkpoint.
///
/// One step: `train.accumulate` micro-batches through the learning rule, gradient clipping, the
/// optimizer, then the update of the decorrelation. Writes the run directory as it goes.
class Trainer {
 public:
  /// Loads the data and builds everything for a run in `run_path`; with `resume` goes on from its
  /// latest checkpoint, if there is one, and has no use for `train.initial_weights` then. Writes
  /// nothing. Throws `std::invalid_argument` if the configuration or the folder does not fit,
  /// `std::runtime_error` if data, checkpoint or initial weights cannot be read or do not fit,
  /// data::LoadStopped if `interrupted` returns true while images are decoded.
  Trainer(Config config, const std::filesystem::path& run_path, bool resume, Progress& progress,
          const std::function<bool()>& interrupted = {});

  /// Trains until done, or until `interrupted` (asked after each step) returns true. Creates the
  /// run directory first. Throws `std::runtime_error` if writing fails or another process uses it.
  Outcome run(const std::function<bool()>& interrupted);

  nn::Model& model() { return *model_; }
  const RunState& state() const { return state_; }

 private:
  enum class EpochEnd { kWhole, kInterrupted, kDiverged };

  EpochEnd train_epoch(const std::function<bool()>& interrupted);
  bool train_step(std::int64_t micro_batches);
  std::int64_t rows_of(std::int64_t batch) const;
  std::int64_t epoch_rows() const;
  void finish_epoch(double train_seconds);
  data::Batch probe(std::int64_t rows) const;
  nlohmann::ordered_json measure_layers();
  void note_skipped(const std::string& path, const whitening::UpdateReport& report);
  void report_skipped();
  bool parameters_finite() const;
  void save();
  void restore(std::int64_t step);
  void begin();
  void mark_best();
  void write_summary(Outcome outcome) const;

  Config config_;
  linalg::ProductPrecision precision_;
  Datasets data_;
  std::uint32_t data_fingerprint_ = 0;  // of the training data, read once: it does not change
  RunDirectory directory_;
  Progress& progress_;
  std::shared_ptr<nn::Model> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  learning::Loss loss_;
  std::unique_ptr<learning::Rule> rule_;
  std::unique_ptr<data::Loader> train_loader_, test_loader_, validation_loader_;
  CheckpointStore checkpoints_;
  MetricsLog metrics_;
  Schedule schedule_;
  RunState state_;
  bool resumed_ = false;
  std::int64_t resumed_at_ = 0;  // step at which this process took over
  std::map<std::string, std::pair<std::int64_t, std::string>> skipped_;  // this epoch, by layer
};

}  // namespace decorr::train
