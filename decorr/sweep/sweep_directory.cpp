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

constexpr const char* kAsked = "asked_threads";

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

// The runs in `folder` that are not `planned`.
std::vector<std::string> unplanned(const fs::path& folder, const std::vector<Run>& planned) {
  std::vector<std::string> names = run_names(folder);
  for (const Run& run : planned)
    names.erase(std::remove(names.begin(), names.end(), run.name), names.end());
  return names;
}

void move_if_there(const fs::path& from, const fs::path& to) {
  if (!fs::exists(from)) return;
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::rename(from, to, error);
  check_runtime(!error, "cannot move {} to {}, {}", from.string(), to.string(), error.message());
}

// Moves a run and its log; the folder comes last, as it is by this that a run is found.
void move_run(const fs::path& from, const fs::path& to) {
  move_if_there(from.string() + ".log", to.string() + ".log");
  move_if_there(from, to);
}

// `path`, or with a number behind it if that is taken.
fs::path free_name(const fs::path& path) {
  fs::path name = path;
  for (int number = 2; fs::exists(name); ++number)
    name = fmt::format("{}-{}", path.string(), number);
  return name;
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

FinalMoves SweepDirectory::arrange_final_runs(const std::vector<Run>& planned) const {
  FinalMoves moves;
  for (const std::string& name : unplanned(final_runs(), planned)) {
    move_run(final_runs() / name, free_name(old_final_runs() / name));
    ++moves.away;
  }
  for (const Run& run : planned) {
    const fs::path old = old_final_runs() / run.name;
    if (fs::exists(final_runs() / run.name) || !fs::exists(old / "config.toml")) continue;
    if (lines_of(train::load_run_config(old)) != lines_of(run.config)) continue;
    move_run(old, final_runs() / run.name);
    ++moves.back;
  }
  return moves;
}

bool SweepDirectory::unplanned_in_use(const std::vector<Run>& planned) const {
  const std::vector<std::string> names = unplanned(final_runs(), planned);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return train::RunDirectory(final_runs() / name).in_use();
  });
}

SweepState SweepDirectory::state() const {
  SweepState state;
  const fs::path file = path_ / "state.json";
  if (!fs::exists(file)) return state;
  const auto json =
      nlohmann::ordered_json::parse(io::read_file(file), nullptr, /*allow_exceptions=*/false);
  const bool whole = json.is_object() && json.contains("threads") &&
                     json["threads"].is_number_integer() && json.contains("decisions") &&
                     json["decisions"].is_object() &&
                     (!json.contains(kAsked) || json[kAsked].is_number_integer());
  check_runtime(whole, "damaged state of a sweep, {}, delete it to have runs judged anew",
                file.string());
  state.threads = json["threads"].get<std::int64_t>();
  state.asked_threads = json.value(kAsked, std::int64_t{0});
  state.decisions = json["decisions"];
  return state;
}

void SweepDirectory::save(const SweepState& state) const {
  nlohmann::ordered_json json = {{"threads", state.threads}, {"decisions", state.decisions}};
  if (state.asked_threads > 0) json[kAsked] = state.asked_threads;
  io::write_file_atomically(path_ / "state.json", json.dump(2) + "\n");
}

}  // namespace decorr::sweep
