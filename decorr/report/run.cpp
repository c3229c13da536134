#include "decorr/report/run.h"

#include "decorr/core/check.h"
#include "decorr/train/metrics.h"
#include "decorr/train/run_directory.h"

#include <algorithm>

namespace decorr::report {
namespace {

using Json = nlohmann::ordered_json;

// A row of metrics.jsonl, of which it knows the place.
class Row {
 public:
  Row(const Json& row, const std::filesystem::path& file, std::size_t line)
      : row_(row), place_(fmt::format("{}:{}", file.string(), line)) {}

  // A value that is not finite was written as null.
  double number(const Json& object, const char* key, bool required) const {
    const auto found = object.find(key);
    if (found == object.end()) {
      check(!required, key);
      return kUnknown;
    }
    check(found->is_number() || found->is_null(), key);
    return found->is_null() ? kUnknown : found->get<double>();
  }
  double number(const char* key, bool required = true) const { return number(row_, key, required); }

  std::int64_t count(const char* key) const {
    const auto found = row_.find(key);
    check(found != row_.end() && found->is_number_integer() && *found >= 0, key);
    return found->get<std::int64_t>();
  }

  std::vector<LayerState> layers() const {
    std::vector<LayerState> result;
    const auto found = row_.find("layers");
    if (found == row_.end()) return result;
    check(found->is_array(), "layers");
    for (const Json& entry : *found) {
      check(entry.is_object() && entry.contains("path") && entry["path"].is_string(), "layers");
      LayerState layer{entry["path"].get<std::string>(), {}};
      for (std::size_t i = 0; i < kLayerMeasures.size(); ++i)
        layer.values[i] = number(entry, kLayerMeasures[i].key, kLayerMeasures[i].required);
      result.push_back(std::move(layer));
    }
    return result;
  }

  bool has(const char* key) const { return row_.contains(key); }

  void check(bool condition, const char* key) const {
    check_runtime(condition, "damaged row, {}, \"{}\" is missing or has no sense: delete that line",
                  place_, key);
  }

 private:
  const Json& row_;
  std::string place_;
};

}  // namespace

std::string Run::setting(const std::string& key) const {
  const auto found = settings.find(key);
  return found == settings.end() ? "" : found->second;
}

Run read_run(const std::filesystem::path& path) {
  const train::RunRecord record = train::read_run(path);
  Run run;
  run.path = path;
  const auto whole = std::filesystem::weakly_canonical(path);
  run.name = whole.filename().empty() ? path.string() : whole.filename().string();
  run.seed = record.config.seed;
  run.status = record.status;
  for (const auto& [key, value] : train::settings(record.config)) run.settings[key] = value;

  const auto file = train::RunDirectory(path).metrics();
  const std::vector<double> epoch_seconds = train::epoch_seconds(record.epochs);
  double seconds = 0;
  std::int64_t last_step = 0;
  for (std::size_t i = 0; i < record.epochs.size(); ++i) {
    const Row row(record.epochs[i], file, i + 1);
    Epoch epoch;
    epoch.number = row.count("epoch");
    row.check(epoch.number == static_cast<std::int64_t>(i) + 1, "epoch");
    epoch.step = row.count("step");
    row.check(epoch.step > last_step, "step");
    row.check(row.number("train_seconds") >= 0, "train_seconds");
    if (row.has("resumed_at_step")) {
      const std::int64_t from = row.count("resumed_at_step");
      row.check(from < epoch.step, "resumed_at_step");
      if (from > last_step) run.resumed.push_back(epoch.number);
    }
    seconds += epoch_seconds[i];
    epoch.seconds = seconds;
    for (std::size_t j = 0; j < kMetrics.size(); ++j)
      epoch.values[j] = row.number(kMetrics[j].key, kMetrics[j].required);
    epoch.layers = row.layers();
    last_step = epoch.step;
    run.epochs.push_back(std::move(epoch));
  }
  return run;
}

}  // namespace decorr::report
