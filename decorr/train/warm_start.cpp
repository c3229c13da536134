#include "decorr/train/warm_start.h"

#include "decorr/core/check.h"
#include "decorr/nn/fold.h"
#include "decorr/train/checkpoint_model.h"
#include "decorr/train/checkpoint_record.h"
#include "decorr/train/checkpoint_store.h"
#include "decorr/train/run_directory.h"
#include "decorr/train/setup.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <vector>

namespace decorr::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMend = "give a run directory or a checkpoint in one";

// A checkpoint of a run.
struct Source {
  fs::path run;
  std::int64_t step = 0;
  std::string text;  // for messages
};

Source find_source(const std::string& path) {
  std::error_code error;
  const std::string where = fmt::format("train.initial_weights = \"{}\"", path);
  check_runtime(fs::exists(path, error), "there are no initial weights, {}, {}", where, kMend);
  const bool whole_run = fs::is_directory(path, error);
  const fs::path run = whole_run ? fs::path(path) : fs::absolute(path).parent_path().parent_path();
  check_runtime(fs::exists(run / "config.toml", error), "not of a run of decorr train, {}, {}",
                where, kMend);
  const CheckpointStore store(RunDirectory(run).checkpoints(), 1);
  std::vector<std::int64_t> steps;  // of the checkpoints that are meant; the last one is taken
  const std::string name = fs::path(path).filename().string();
  for (const std::int64_t step : store.steps())
    if (whole_run || name == detail::file_name(step, detail::kStateSuffix) ||
        name == detail::file_name(step, detail::kTensorsSuffix))
      steps.push_back(step);
  check_runtime(!steps.empty(), "no checkpoint, {}, {}", where, kMend);
  return {run, steps.back(), fmt::format("{} (step {})", where, steps.back())};
}

// The network of the checkpoint, plain.
std::shared_ptr<nn::Model> load_plain(const Source& source, const std::string& device,
                                      const data::Dataset& dataset) {
  Config config = load_run_config(source.run);
  config.train.device = device;
  const std::shared_ptr<nn::Model> model = make_model(config, dataset);
  const CheckpointStore store(RunDirectory(source.run).checkpoints(), 1);
  load_model_tensors(*model, store.load(source.step).tensors, source.text);
  model->eval();
  return nn::fold(model);
}

// Parameters and buffers by name, but for those of decorrelation.
std::map<std::string, at::Tensor> plain_tensors(const nn::Model& model) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& item : model.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : model.named_buffers())
    if (item.key().find("decorrelator.") == std::string::npos) tensors[item.key()] = item.value();
  return tensors;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// How to make room for a tensor that only the old network has.
std::string how_to_hold(const std::string& name) {
  if (ends_with(name, "input_mean"))
    return "the old run padded demeaned images: train it with decorrelation.pad = \"raw\"";
  if (ends_with(name, "bias_offset"))
    return "it stands for the mean of the old run's decorrelation: decorrelate the new one too, or "
           "train the old one with model.bias = true";
  return "use the same [model]";
}

}  // namespace

void load_initial_weights(nn::Model& model, const Config& config, const data::Dataset& dataset) {
  const at::NoGradGuard no_grad;
  const Source source = find_source(config.train.initial_weights);
  const std::shared_ptr<nn::Model> plain = load_plain(source, config.train.device, dataset);
  const auto from = plain_tensors(*plain), to = plain_tensors(model);
  const auto shape = [](const at::Tensor& tensor) {
    return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
  };
  for (const auto& [name, target] : to) {
    const auto found = from.find(name);
    if (found == from.end() && ends_with(name, "bias_offset")) continue;  // starts at 0
    check_runtime(found != from.end(),
                  "initial weights do not fit the model, {}, they have no {}: use the same [model]",
                  source.text, name);
    check_runtime(found->second.sizes() == target.sizes(),
                  "initial weights do not fit the model, {}, {} is {} and should be {}: use the "
                  "same [model] and data of the same shape",
                  source.text, name, shape(found->second), shape(target));
  }
  for (const auto& item : from)
    check_runtime(to.count(item.first) > 0,
                  "initial weights do not fit the model, {}, the model has no {}: {}", source.text,
                  item.first, how_to_hold(item.first));
  for (const auto& [name, tensor] : from) at::Tensor(to.at(name)).copy_(tensor);
}

}  // namespace decorr::train
