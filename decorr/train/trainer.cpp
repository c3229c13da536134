#include "decorr/train/trainer.h"

#include "decorr/core/check.h"
#include "decorr/core/threads.h"
#include "decorr/nn/update.h"
#include "decorr/optim/clip.h"
#include "decorr/train/warm_start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

namespace decorr::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return "completed";
    case Outcome::kStoppedEarly:
      return "stopped-early";
    case Outcome::kInterrupted:
      return "interrupted";
    case Outcome::kDiverged:
      return "diverged";
  }
  return "unknown";
}

Trainer::Trainer(Config config, const std::filesystem::path& run_path, bool resume,
                 Progress& progress, const std::function<bool()>& interrupted)
    : config_(std::move(config)),
      precision_(rounds_products(config_)),
      directory_(run_path),
      progress_(progress),
      loss_(config_.learning.loss),
      checkpoints_(directory_.checkpoints(), config_.train.keep),
      metrics_(directory_.metrics()) {
  set_threads(static_cast<int>(config_.train.threads));
  directory_.check(config_, resume);
  data_ = load_datasets(config_, interrupted);
  data_fingerprint_ = fingerprint(data_.train);
  model_ = make_model(config_, data_.train);
  optimizer_ = make_optimizer(config_.optimizer, *model_);
  train_loader_ =
      std::make_unique<data::Loader>(data_.train, training_loader(config_, data_.normalization));
  const data::LoaderOptions evaluation = evaluation_loader(config_, data_.normalization);
  test_loader_ = std::make_unique<data::Loader>(data_.test, evaluation);
  if (data_.validation)
    validation_loader_ = std::make_unique<data::Loader>(*data_.validation, evaluation);
  const std::int64_t batches = train_loader_->batches();
  const std::int64_t steps = (batches + config_.train.accumulate - 1) / config_.train.accumulate;
  schedule_ = config_.optimizer.schedule_over(steps * config_.train.epochs);

  const std::optional<std::int64_t> latest = resume ? checkpoints_.latest() : std::nullopt;
  if (!latest && !config_.train.initial_weights.empty())
    load_initial_weights(*model_, config_, data_.train);
  // After the initial weights, which feedback matrices may start from.
  rule_ = make_learning_rule(config_, model_, loss_, data_.train);
  if (latest) restore(*latest);
  resumed_ = latest.has_value();
  resumed_at_ = state_.step;
}

void Trainer::begin() {
  directory_.open(config_);
  metrics_.truncate(static_cast<std::size_t>(state_.epoch));
  if (resumed_) {
    mark_best();  // a crash may have come between a save and its mark
  } else {
    save();  // from the first step on there is a good checkpoint to fall back to
  }
}

Outcome Trainer::run(const std::function<bool()>& interrupted) {
  begin();
  model_->train();
  Outcome outcome = Outcome::kCompleted;
  while (state_.epoch < config_.train.epochs && !state_.stopped) {
    const EpochEnd end = train_epoch(interrupted);
    if (end == EpochEnd::kInterrupted) {
      save();
      outcome = Outcome::kInterrupted;
      break;
    }
    if (end == EpochEnd::kDiverged) {
      outcome = Outcome::kDiverged;
      break;
    }
  }
  progress_.clear();
  if (state_.stopped) outcome = Outcome::kStoppedEarly;
  write_summary(outcome);
  return outcome;
}

// Samples in micro-batch number `batch` of an epoch.
std::int64_t Trainer::rows_of(std::int64_t batch) const {
  return std::min(config_.train.batch_size, data_.train.size() - batch * config_.train.batch_size);
}

std::int64_t Trainer::epoch_rows() const {
  return std::min(data_.train.size(), train_loader_->batches() * config_.train.batch_size);
}

// One optimizer step over the next `micro_batches`; false if something is not finite.
bool Trainer::train_step(std::int64_t micro_batches) {
  const at::Device device(config_.train.device);
  std::int64_t rows = 0;
  for (std::int64_t i = 0; i < micro_batches; ++i) rows += rows_of(state_.batch + i);
  for (std::int64_t i = 0; i < micro_batches; ++i) {
    data::Batch batch;
    check_runtime(train_loader_->next(batch), "the loader ended before the epoch did");
    const at::Tensor target = batch.target.to(device);
    const double weight = static_cast<double>(target.size(0)) / static_cast<double>(rows);
    const learning::BatchResult result = rule_->accumulate(batch.input.to(device), target, weight);
    const double loss = result.loss.item<double>();
    if (!std::isfinite(loss)) return false;
    state_.running.add(loss, result.logits, target);
  }
  if (config_.optimizer.clip_norm > 0) {
    const double norm =
        optim::clip_gradient_norm(optimizer_->parameters(), config_.optimizer.clip_norm);
    if (!std::isfinite(norm)) return false;
  }
  rule_->step(*optimizer_, config_.optimizer.lr * schedule_.factor(state_.step));
  optimizer_->zero_grad();
  for (const nn::LayerUpdate& layer : nn::update(*model_, optimizer_.get()))
    note_skipped(layer.path, layer.report);
  state_.batch += micro_batches;
  ++state_.step;
  return true;
}

Trainer::EpochEnd Trainer::train_epoch(const std::function<bool()>& interrupted) {
  const std::int64_t batches = train_loader_->batches();
  train_loader_->start(state_.epoch, state_.batch);
  progress_.start_epoch(state_.epoch + 1, config_.train.epochs, state_.running.count, epoch_rows());
  skipped_.clear();
  const auto start = std::chrono::steady_clock::now();
  while (state_.batch < batches) {
    if (!train_step(std::min(config_.train.accumulate, batches - state_.batch)))
      return EpochEnd::kDiverged;
    progress_.update(state_.running.count, state_.running.loss(), state_.running.accuracy());
    if (state_.batch == batches) break;
    if (interrupted()) return parameters_finite() ? EpochEnd::kInterrupted : EpochEnd::kDiverged;
    if (config_.train.checkpoint_every > 0 && state_.step % config_.train.checkpoint_every == 0) {
      if (!parameters_finite()) return EpochEnd::kDiverged;
      save();
    }
  }
  const double seconds = seconds_since(start);
  if (!parameters_finite()) return EpochEnd::kDiverged;
  finish_epoch(seconds);
  return interrupted() && state_.epoch < config_.train.epochs ? EpochEnd::kInterrupted
                                                              : EpochEnd::kWhole;
}

bool Trainer::parameters_finite() const {
  const auto parameters = model_->parameters();
  return std::all_of(parameters.begin(), parameters.end(), [](const at::Tensor& tensor) {
    return std::isfinite(tensor.norm().item<double>());
  });
}

}  // namespace decorr::train
