#include "decorr/train/run_record.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_names.h"
#include "decorr/train/metrics.h"
#include "decorr/train/run_directory.h"

#include <map>

namespace decorr::train {
namespace {

nlohmann::ordered_json read_summary(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  auto summary =
      nlohmann::ordered_json::parse(io::read_file(file), nullptr, /*allow_exceptions=*/false);
  check_runtime(
      summary.is_object() && summary.contains("status") && summary["status"].is_string() &&
          summary.contains("epochs") && summary["epochs"].is_number_integer(),
      "damaged summary, {}, delete it and resume the run to have it written again", file.string());
  return summary;
}

RunStatus status_of(const RunRecord& record, const std::filesystem::path& file) {
  // The summary of an earlier process says nothing if a later one went on and was killed.
  if (record.summary.is_null() || record.summary["epochs"] != record.epochs.size())
    return RunStatus::kKilled;
  static const std::map<std::string, RunStatus> known = {
      {"completed", RunStatus::kCompleted},
      {"stopped-early", RunStatus::kStoppedEarly},
      {"diverged", RunStatus::kDiverged},
      {"interrupted", RunStatus::kInterrupted}};
  const auto name = record.summary["status"].get<std::string>();
  // A completed run that was resumed with more epochs and killed before the first of them ended.
  if (name == "completed" &&
      record.epochs.size() < static_cast<std::size_t>(record.config.train.epochs))
    return RunStatus::kKilled;
  const auto found = known.find(name);
  check_runtime(found != known.end(), "unknown status \"{}\", {}, use the version that wrote it",
                name, file.string());
  return found->second;
}

}  // namespace

std::string to_string(RunStatus status) {
  switch (status) {
    case RunStatus::kCompleted:
      return "completed";
    case RunStatus::kStoppedEarly:
      return "stopped-early";
    case RunStatus::kDiverged:
      return "diverged";
    case RunStatus::kInterrupted:
      return "interrupted";
    case RunStatus::kRunning:
      return "running";
    case RunStatus::kKilled:
      return "killed";
  }
  return "unknown";
}

bool is_final(RunStatus status) {
  return status == RunStatus::kCompleted || status == RunStatus::kStoppedEarly ||
         status == RunStatus::kDiverged;
}

RunRecord read_run(const std::filesystem::path& path) {
  const RunDirectory directory(path);
  RunRecord record;
  record.path = path;
  record.config = load_run_config(path);
  // Asked first: a run that ends meanwhile then counts as running, not as killed.
  const bool running = directory.in_use();
  record.epochs = MetricsLog(directory.metrics()).rows();
  record.summary = read_summary(directory.summary());
  record.status = running ? RunStatus::kRunning : status_of(record, directory.summary());
  return record;
}

std::vector<std::pair<std::string, std::string>> settings(const Config& config) {
  Config copy = config;
  const Selected selected = anywhere(config);
  std::vector<std::pair<std::string, std::string>> result;
  for (const Binding& binding : bindings(copy))
    if (unmet(binding, selected) == nullptr) result.emplace_back(binding.name, binding.value());
  std::vector<std::string> layers;
  for (const LayerDecorrelation& layer : config.decorrelation.layers) {
    std::vector<std::string> entries = {"pattern = " + quoted(layer.pattern)};
    for (const auto& [leaf, setting] : layer.settings)
      entries.push_back(fmt::format("{} = {}", leaf, in_toml(setting)));
    layers.push_back(fmt::format("{{{}}}", fmt::join(entries, ", ")));
  }
  if (!layers.empty())
    result.emplace_back(kLayersKey, fmt::format("[{}]", fmt::join(layers, ", ")));
  return result;
}

}  // namespace decorr::train
