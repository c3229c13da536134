// What a checkpoint holds: the tensors of model, optimizer and learning rule by name, and RunState
// as JSON.
#include "decorr/core/check.h"
#include "decorr/train/checkpoint_model.h"
#include "decorr/train/trainer.h"

#include <ATen/ATen.h>

namespace decorr::train {
namespace {

constexpr const char* kModel = "model.";
constexpr const char* kOptimizer = "optimizer.";
constexpr const char* kRule = "learning.";

// The tensors whose name begins with `prefix`, without it.
std::map<std::string, at::Tensor> with_prefix(const io::NamedTensors& tensors,
                                              const std::string& prefix) {
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, tensor] : tensors)
    if (name.compare(0, prefix.size(), prefix) == 0) result[name.substr(prefix.size())] = tensor;
  return result;
}

std::map<std::string, at::Tensor> model_tensors(const nn::Model& model) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& item : model.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : model.named_buffers()) tensors[item.key()] = item.value();
  return tensors;
}

}  // namespace

void Trainer::save() {
  Checkpoint checkpoint;
  for (const auto& [name, tensor] : model_tensors(*model_))
    checkpoint.tensors[kModel + name] = tensor.detach();
  for (const auto& [name, tensor] : optimizer_->state_dict())
    checkpoint.tensors[kOptimizer + name] = tensor;
  for (const auto& [name, tensor] : rule_->state_dict()) checkpoint.tensors[kRule + name] = tensor;
  checkpoint.state = {{"step", state_.step},
                      {"epoch", state_.epoch},
                      {"batch", state_.batch},
                      {"running_loss_sum", state_.running.loss_sum},
                      {"running_correct", state_.running.correct},
                      {"running_count", state_.running.count},
                      {"best_loss", state_.best_loss},
                      {"best_step", state_.best_step},
                      {"epochs_since_best", state_.epochs_since_best},
                      {"stopped", state_.stopped},
                      {"rule", config_.learning.rule},
                      {"data_crc32", data_fingerprint_}};
  checkpoints_.save(state_.step, checkpoint);
  mark_best();
}

void Trainer::mark_best() {
  if (state_.best_step == state_.step && state_.step > 0)
    checkpoints_.mark_best(state_.step, state_.best_loss);
}

void load_model_tensors(nn::Model& model, const io::NamedTensors& tensors,
                        const std::string& source) {
  const at::NoGradGuard no_grad;
  const auto targets = model_tensors(model);
  for (const auto& [name, target] : targets) {
    const auto found = tensors.find(kModel + name);
    check_runtime(found != tensors.end(),
                  "checkpoint does not fit the model, {}, it has no tensor {}{}: use the "
                  "configuration it was made with",
                  source, kModel, name);
    check_runtime(found->second.sizes() == target.sizes() &&
                      found->second.scalar_type() == target.scalar_type(),
                  "checkpoint does not fit the model, {}, {}{} is {}[{}] and should be {}[{}]: use "
                  "the configuration it was made with",
                  source, kModel, name, c10::toString(found->second.scalar_type()),
                  fmt::join(found->second.sizes(), ", "), c10::toString(target.scalar_type()),
                  fmt::join(target.sizes(), ", "));
  }
  for (const auto& [name, target] : targets) at::Tensor(target).copy_(tensors.at(kModel + name));
}

void Trainer::restore(std::int64_t step) {
  const Checkpoint checkpoint = checkpoints_.load(step);
  const std::string source = checkpoints_.folder().string() + fmt::format(" (step {})", step);
  try {
    const auto& state = checkpoint.state;
    check_runtime(state.at("data_crc32") == data_fingerprint_,
                  "the training data has changed since the checkpoint, {}, restore the old data or "
                  "start a new run",
                  source);
    const std::string rule = state.value("rule", "backprop");
    check_runtime(rule == config_.learning.rule,
                  "the checkpoint was made with another learning rule, {}, set learning.rule = "
                  "\"{}\" or start a new run with train.initial_weights",
                  source, rule);
    state_.step = state.at("step");
    state_.epoch = state.at("epoch");
    state_.batch = state.at("batch");
    state_.running.loss_sum = state.at("running_loss_sum");
    state_.running.correct = state.at("running_correct");
    state_.running.count = state.at("running_count");
    state_.best_loss = state.at("best_loss");
    state_.best_step = state.at("best_step");
    state_.epochs_since_best = state.at("epochs_since_best");
    state_.stopped = state.at("stopped");
  } catch (const nlohmann::json::exception& error) {
    check_runtime(false, "not a checkpoint of a training run, {}, {}", source, error.what());
  }
  load_model_tensors(*model_, checkpoint.tensors, source);
  optimizer_->load_state_dict(with_prefix(checkpoint.tensors, kOptimizer));
  rule_->load_state_dict(with_prefix(checkpoint.tensors, kRule));
}

}  // namespace decorr::train
