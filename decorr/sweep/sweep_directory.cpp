#include "decorr/sweep/sweep_directory.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"
#include "decorr/train/run_directory.h"
#include "decorr/train/run_record.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

namespace decorr::sweep {
namespace {

namespace fs = std::filesystem;

// The settings of a configuration, a line each, by their full names.
std::string lines_of(const train::Config& config) {
  std::string text;
  for (const auto& [name, value] : train::settings(config))
    text += fmt::format("{} = {}\n", name, value);
  return text;
}

// The run directories in `folder` by their names, in order.
std::vector<std::string> run_names(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "config.toml")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// Compares the runs in `folder` with those of the plan; `complete` demands that it has all of them.
void check_runs(const fs::path& folder, const std::vector<Run>& runs, bool complete,
                const std::string& file) {
  std::map<std::string, const train::Config*> planned;
  for (const Run& run : runs) planned[run.name] = &run.config;
  for (const std::string& name : run_names(folder)) {
    const auto found = planned.find(name);
    if (found == planned.end()) {
      check_argument(!complete,
                     "the sweep has a run that {} does not have, {}, put it back or choose another "
                     "--out",
                     file, (folder / name).string());
      continue;
    }
    const std::string old_lines = lines_of(train::load_run_config(folder / name));
    const std::string new_lines = lines_of(*found->second);
    check_argument(old_lines == new_lines,
                   "the run has another configuration, {}, {}: go on with the same settings or "
                   "choose another --out",
                   (folder / name).string(), train::first_difference(old_lines, new_lines));
  }
}

}  // namespace

void SweepDirectory::check(const Plan& plan) const {
  if (!fs::exists(path_)) return;
  check_argument(fs::is_directory(path_), "not a folder, {}, choose another --out", path_.string());
  check_argument(!io::FolderLock::held(path_),
                 "the sweep is in use by another process, {}, wait for it or choose another --out",
                 path_.string());
  check_sweep(plan);
}

void SweepDirectory::check_sweep(const Plan& plan) const {
  if (train::holds_nothing(path_)) return;
  const fs::path file = path_ / "sweep.toml";
  check_argument(fs::exists(file),
                 "the folder exists and is not that of a sweep, {}, choose another --out",
                 path_.string());
  const std::string old_text = fixed_text(load_sweep_file(file.string()));
  const std::string new_text = fixed_text(plan.file);
  check_argument(old_text == new_text,
                 "the sweep has other settings, {}, {}: go on with the same ones (values, trials, "
                 "seeds and variants may be added) or choose another --out",
                 path_.string(), train::first_difference(old_text, new_text));
  check_runs(runs(), plan.runs, /*complete=*/true, plan.file.path);
  if (!plan.file.final_phase) return;
  std::vector<std::size_t> all(plan.settings.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  // Others are left from a setting that was best before the sweep grew.
  check_runs(final_runs(), plan.final_runs(all), /*complete=*/false, plan.file.path);
}

void SweepDirectory::open(const Plan& plan) {
  std::error_code error;
  fs::create_directories(path_, error);
  check_runtime(!error, "cannot create the folder of the sweep, {}, {}", path_.string(),
                error.message());
  check_runtime(lock_.take(path_),
                "the sweep is in use by another process, {}, wait for it or choose another --out",
                path_.string());
  check_sweep(plan);  // once more: another process may have been here
  for (const fs::path& folder : {path_, runs(), final_runs()}) io::remove_temporaries(folder);
  io::write_file_atomically(
      path_ / "sweep.toml",
      "# The sweep with its defaults resolved, as it was last run.\n" + to_toml(plan.file));
}

SweepState SweepDirectory::state() const {
  SweepState state;
  const fs::path file = path_ / "state.json";
  if (!fs::exists(file)) return state;
  const auto json =
      nlohmann::ordered_json::parse(io::read_file(file), nullptr, /*allow_exceptions=*/false);
  const bool whole = json.is_object() && json.contains("threads") &&
                     json["threads"].is_number_integer() && json.contains("decisions") &&
                     json["decisions"].is_object();
  check_runtime(whole, "damaged state of a sweep, {}, delete it to have runs judged anew",
                file.string());
  state.threads = json["threads"].get<std::int64_t>();
  state.decisions = json["decisions"];
  return state;
}

void SweepDirectory::save(const SweepState& state) const {
  const nlohmann::ordered_json json = {{"threads", state.threads}, {"decisions", state.decisions}};
  io::write_file_atomically(path_ / "state.json", json.dump(2) + "\n");
}

}  // namespace decorr::sweep
