// What a run says at the end of each epoch and at its own end.
#include "decorr/analysis/correlation.h"
#include "decorr/core/threads.h"
#include "decorr/core/version.h"
#include "decorr/io/atomic_file.h"
#include "decorr/learning/alignment.h"
#include "decorr/nn/update.h"
#include "decorr/train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace decorr::train {
namespace {

constexpr std::int64_t kProbeRows = 2048;

nlohmann::ordered_json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

}  // namespace

// The first `rows` training images as they are.
data::Batch Trainer::probe(std::int64_t rows) const {
  data::Dataset part = data_.train;
  part.images = part.images.narrow(0, 0, rows);
  part.labels = part.labels.narrow(0, 0, rows);
  data::Loader loader(part, evaluation_loader(config_, data_.normalization).batch_size(rows));
  loader.start(0);
  data::Batch batch;
  loader.next(batch);
  const at::Device device(config_.train.device);
  batch.input = batch.input.to(device);
  batch.target = batch.target.to(device);
  return batch;
}

// The correlation in front of each layer, and how the learning rule compares with backpropagation.
nlohmann::ordered_json Trainer::measure_layers() {
  const std::int64_t rows = std::min(kProbeRows, data_.train.size());
  std::vector<analysis::LayerCorrelation> correlations;
  if (rows >= 4)
    correlations = analysis::measure_correlation(
        *model_, probe(rows).input,
        [&](const at::Tensor& input) { return model_->forward(input); });
  std::vector<learning::LayerAlignment> alignments;
  if (config_.learning.alignment) {
    const data::Batch batch = probe(std::min(config_.train.batch_size, data_.train.size()));
    alignments = learning::measure_alignment(*rule_, model_, loss_, batch.input, batch.target);
  }
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  std::size_t index = 0;
  for (const auto& [path, layer] : nn::decorrelated_layers(*model_)) {
    const whitening::Decorrelator& decorrelator = layer->decorrelator();
    nlohmann::ordered_json entry = {{"path", path}};
    if (index < correlations.size()) {
      entry["input_energy"] = finite_or_null(correlations[index].input_energy);
      entry["energy"] = finite_or_null(correlations[index].energy);
      entry["matrix_norm"] = finite_or_null(correlations[index].matrix_norm);
    }
    if (index < alignments.size()) {
      entry["gradient_angle"] = finite_or_null(alignments[index].gradient_angle);
      entry["norm_ratio"] = finite_or_null(alignments[index].norm_ratio);
      entry["feedback_angle"] = finite_or_null(alignments[index].feedback_angle);
    }
    const bool active = decorrelator->active();
    entry["updates"] = active ? decorrelator->applied() : 0;
    entry["skipped"] = active ? decorrelator->skipped() : 0;
    entry["shortened"] = active ? decorrelator->shortened() : 0;
    layers.push_back(entry);
    ++index;
  }
  return layers;
}

void Trainer::finish_epoch(double train_seconds) {
  progress_.clear();
  const auto start = std::chrono::steady_clock::now();
  const Score test = evaluate(*model_, *test_loader_, loss_);
  const Score monitored = validation_loader_ ? evaluate(*model_, *validation_loader_, loss_) : test;
  const nlohmann::ordered_json layers = measure_layers();
  const double eval_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  ++state_.epoch;
  state_.batch = 0;
  const Score training = state_.running;
  state_.running = Score();
  const bool better = state_.best_step == 0 || monitored.loss() < state_.best_loss;
  if (better && std::isfinite(monitored.loss())) {
    state_.best_loss = monitored.loss();
    state_.best_step = state_.step;
    state_.epochs_since_best = 0;
  } else {
    ++state_.epochs_since_best;
  }
  state_.stopped =
      config_.train.early_stopping > 0 && state_.epochs_since_best >= config_.train.early_stopping;

  // Only what this process saw of the epoch has been timed.
  const std::int64_t steps_per_epoch =
      (train_loader_->batches() + config_.train.accumulate - 1) / config_.train.accumulate;
  const std::int64_t epoch_start = state_.step - steps_per_epoch;
  const bool whole = resumed_at_ <= epoch_start;
  nlohmann::ordered_json row = {{"epoch", state_.epoch},
                                {"step", state_.step},
                                {"train_loss", training.loss()},
                                {"train_acc", training.accuracy()},
                                {"test_loss", finite_or_null(test.loss())},
                                {"test_acc", test.accuracy()}};
  if (test.correct5) row["test_top5"] = test.top5();
  if (validation_loader_) {
    row["validation_loss"] = finite_or_null(monitored.loss());
    row["validation_acc"] = monitored.accuracy();
  }
  row["train_seconds"] = train_seconds;
  row["eval_seconds"] = eval_seconds;
  if (!whole) row["resumed_at_step"] = resumed_at_;
  const double timed = whole ? static_cast<double>(training.count)
                             : static_cast<double>(training.count) *
                                   static_cast<double>(state_.step - resumed_at_) /
                                   static_cast<double>(steps_per_epoch);
  row["samples_per_second"] = timed / train_seconds;
  row["layers"] = layers;
  metrics_.append(row);
  save();

  progress_.line(fmt::format(
      "epoch {:>3}/{}  loss {:.4f}  acc {:.2f}%  test loss {:.4f}  test acc {:.2f}%{}  {:.1f} s  "
      "{:.0f}/s",
      state_.epoch, config_.train.epochs, training.loss(), 100 * training.accuracy(), test.loss(),
      100 * test.accuracy(),
      validation_loader_ ? fmt::format("  validation acc {:.2f}%", 100 * monitored.accuracy()) : "",
      train_seconds, timed / train_seconds));
  report_skipped();
}

void Trainer::note_skipped(const std::string& path, const whitening::UpdateReport& report) {
  if (report.outcome != whitening::UpdateReport::Outcome::kSkipped) return;
  auto& [count, reason] = skipped_[path];
  ++count;
  reason = report.reason;
}

void Trainer::report_skipped() {
  for (const auto& [path, entry] : skipped_)
    progress_.line(fmt::format("  note: {} skipped {} decorrelation update{} ({})", path,
                               entry.first, entry.first == 1 ? "" : "s", entry.second));
  skipped_.clear();
}

void Trainer::write_summary(Outcome outcome) const {
  const std::vector<nlohmann::ordered_json> rows = metrics_.rows();
  std::int64_t parameters = 0;
  for (const at::Tensor& tensor : model_->parameters()) parameters += tensor.numel();
  nlohmann::ordered_json summary = {{"status", to_string(outcome)}, {"version", kVersion},
                                    {"epochs", state_.epoch},       {"step", state_.step},
                                    {"parameters", parameters},     {"threads", threads()}};
  double train_seconds = 0, eval_seconds = 0;
  for (const double seconds : epoch_seconds(rows)) train_seconds += seconds;
  for (const auto& row : rows) {
    eval_seconds += row.at("eval_seconds").get<double>();
    if (state_.best_step > 0 && row.at("step") == state_.best_step) {
      summary["best"] = row;
      summary["best"].erase("layers");
      summary["best"]["selected_by"] = validation_loader_ ? "validation_loss" : "test_loss";
    }
  }
  summary["train_seconds"] = train_seconds;
  summary["eval_seconds"] = eval_seconds;
  if (!rows.empty()) summary["final"] = rows.back();
  io::write_file_atomically(directory_.summary(), summary.dump(2) + "\n");
}

}  // namespace decorr::train
