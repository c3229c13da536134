#include "decorr/report/csv.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"
#include "decorr/io/csv.h"
#include "decorr/report/scores.h"

#include <cmath>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace decorr::report {
namespace {

std::string field(std::string_view text) { return io::csv_field(text); }

std::string field(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

template <typename Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
std::string field(Integer value) {
  return std::to_string(value);
}

// One line of comma-separated fields.
class Line {
 public:
  template <typename... Values>
  explicit Line(const Values&... values) {
    (add(values), ...);
  }

  template <typename Value>
  void add(const Value& value) {
    if (!first_) text_ += ',';
    first_ = false;
    text_ += field(value);
  }

  void add(const Estimate& value) {
    add(value.mean);
    add(value.standard_error);
    add(value.half_width);
  }

  // The names of the three columns of an estimate.
  void add_estimate(const std::string& name) {
    add(name);
    add(name + "_standard_error");
    add(name + "_ci95_half_width");
  }

  std::string text() const { return text_ + "\n"; }

 private:
  std::string text_;
  bool first_ = true;
};

}  // namespace

std::string curves_csv(const Report& report) {
  Line names("group", "seed", "run", "epoch", "step", "seconds");
  for (const Measure& metric : kMetrics) names.add(metric.key);
  std::string result = names.text();
  for (const Group& group : report.groups)
    for (const Run& run : group.runs)
      for (const Epoch& epoch : run.epochs) {
        Line line(group.name, run.seed, run.path.string(), epoch.number, epoch.step, epoch.seconds);
        for (const double value : epoch.values) line.add(value);
        result += line.text();
      }
  return result;
}

std::string final_csv(const Report& report) {
  Line names("group", "seeds", "diverged", "unfinished", "epochs");
  for (const char* name :
       {"last_test_acc", "best_test_acc", "train_acc", "test_top5", "seconds_per_epoch", "seconds"})
    names.add_estimate(name);
  names.add("best_selected_by");
  std::string result = names.text();
  for (const Group& group : report.groups) {
    const Score score = report::score(group);
    Line line(group.name, group.runs.size(), group.diverged(), group.unfinished(), group.epochs());
    for (const Estimate& value : {score.test_accuracy, score.best_accuracy, score.train_accuracy,
                                  score.top5, score.epoch_seconds, score.seconds})
      line.add(value);
    line.add(score.by_validation ? "validation_loss" : "test_acc");
    result += line.text();
  }
  return result;
}

std::string time_to_accuracy_csv(const Report& report) {
  Line names;
  for (const char* name : {"target", "best_of", "group", "seeds", "reached"}) names.add(name);
  names.add_estimate("epochs");
  names.add_estimate("seconds");
  for (const char* name : {"baseline", "relative_seconds", "relative_seconds_ci95_low",
                           "relative_seconds_ci95_high", "pairs"})
    names.add(name);
  std::string result = names.text();
  for (const Target& target : report.targets)
    for (const Group& group : report.groups) {
      const TimeToAccuracy time = time_to_accuracy(group, report.groups, target.accuracy);
      Line line(target.accuracy, target.origin, group.name, time.runs, time.reached);
      line.add(time.epochs);
      line.add(time.seconds);
      line.add(time.baseline);
      line.add(time.relative.value);
      line.add(time.relative.low);
      line.add(time.relative.high);
      line.add(time.relative.pairs);
      result += line.text();
    }
  return result;
}

std::string layers_csv(const Report& report) {
  Line names("group", "seed", "epoch", "layer");
  for (const Measure& measure : kLayerMeasures) names.add(measure.key);
  std::string result = names.text();
  for (const Group& group : report.groups)
    for (const Run& run : group.runs)
      for (const Epoch& epoch : run.epochs)
        for (const LayerState& layer : epoch.layers) {
          Line line(group.name, run.seed, epoch.number, layer.path);
          for (const double value : layer.values) line.add(value);
          result += line.text();
        }
  return result;
}

void write_csv(const Report& report, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check_runtime(!error, "cannot create the folder {}: {}; choose another --csv", folder.string(),
                error.message());
  io::write_file_atomically(folder / "curves.csv", curves_csv(report));
  io::write_file_atomically(folder / "final.csv", final_csv(report));
  io::write_file_atomically(folder / "time_to_accuracy.csv", time_to_accuracy_csv(report));
  io::write_file_atomically(folder / "layers.csv", layers_csv(report));
}

}  // namespace decorr::report
