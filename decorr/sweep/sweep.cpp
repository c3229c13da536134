#include "decorr/sweep/sweep.h"

#include "decorr/core/check.h"
#include "decorr/core/threads.h"
#include "decorr/data/registry.h"
#include "decorr/io/atomic_file.h"
#include "decorr/sweep/phase.h"
#include "decorr/sweep/sweep_directory.h"
#include "decorr/sweep/sweep_results.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace decorr::sweep {
namespace {

// Throws, before anything is written, for the first data set that is not there.
void check_data(const Plan& plan) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Setting& setting : plan.settings)
    for (const train::Config* config : {&setting.config, &setting.final_config}) {
      if (config == &setting.final_config && !plan.file.final_phase) continue;
      if (seen.emplace(config->data.name, config->data.root).second)
        data::find(config->data.name, config->data.root);
    }
}

PhaseResults results_of(const std::string& name, const Phase& phase) {
  return {name, phase.metric(), phase.runs(), phase.results()};
}

// The settings that are best in their groups.
std::vector<std::size_t> best_settings(const Plan& plan, const Phase& search) {
  const std::vector<SettingResult> results = by_setting(plan, search.runs(), search.results());
  std::vector<std::size_t> best;
  for (const Group& group : choose(plan, results, search.metric()))
    if (group.best) best.push_back(results[*group.best].setting);
  return best;
}

void show(const std::string& table, train::Progress& progress) { progress.line("\n" + table); }

// Leaves in final/ what is planned alone, for whoever reads the folder; false if interrupted.
bool arrange_final_runs(const SweepDirectory& directory, const std::vector<Run>& planned,
                        train::Progress& progress, const std::function<bool()>& interrupted) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  // The processes of a sweep that was killed write their checkpoints and end.
  while (directory.unplanned_in_use(planned)) {
    if (interrupted()) return false;
    std::this_thread::sleep_for(kPause);
  }
  const FinalMoves moves = directory.arrange_final_runs(planned);
  const std::string old = directory.old_final_runs().string();
  if (moves.away > 0)
    progress.line(
        fmt::format("note: {} final runs that the sweep does not have any more were moved to {}",
                    moves.away, old));
  if (moves.back > 0)
    progress.line(fmt::format("note: {} final runs came back from {}", moves.back, old));
  return true;
}

}  // namespace

Sweep::Sweep(const std::string& path, const SweepOptions& options)
    : plan_(std::make_unique<Plan>(make_plan(load_sweep_file(path)))),
      directory_(std::make_unique<SweepDirectory>(options.out)),
      program_(options.program) {
  check_argument(options.jobs >= 0 && options.threads >= 0,
                 "[Sweep] jobs and threads must be at least 0, got {} and {}", options.jobs,
                 options.threads);
  check_argument(access(program_.c_str(), X_OK) == 0,
                 "[Sweep] program must be one that can be run, got {}", program_.string());
  const std::int64_t processors = available_processors();
  // A run that goes on needs the threads that it began with.
  const SweepState state = directory_->state();
  asked_threads_ = options.threads > 0 ? options.threads : state.asked_threads;
  const std::vector<std::string> axes = plan_->axis_keys();
  check_argument(asked_threads_ == 0 || std::count(axes.begin(), axes.end(), "train.threads") == 0,
                 "the sweep varies train.threads, {}, {}", path,
                 options.threads > 0 ? "leave --threads away"
                                     : "but began with --threads: choose another --out");
  open_threads_ = state.threads;
  if (open_threads_ == 0)
    open_threads_ = std::max<std::int64_t>(1, processors / std::max<std::int64_t>(1, options.jobs));
  plan_->set_threads(asked_threads_, open_threads_);
  jobs_ = options.jobs > 0 ? options.jobs
                           : std::max<std::int64_t>(1, processors / plan_->most_threads());
  check_data(*plan_);
  directory_->check(*plan_);
}

Sweep::~Sweep() = default;

std::string Sweep::description() const {
  const SweepFile& file = plan_->file;
  std::string text = fmt::format("settings {}, runs {}, at a time {}, threads of a run {}, in {}\n",
                                 plan_->settings.size(), plan_->runs.size(), jobs_,
                                 plan_->most_threads(), directory_->path().string());
  for (const Run& run : plan_->runs) text += run.name + "\n";
  if (file.final_phase) {
    std::set<std::vector<std::string>> groups;
    for (const Setting& setting : plan_->settings) groups.insert(setting.group);
    text += fmt::format("then the best by {} of each group, groups {}, seeds {}, runs {}\n",
                        file.metric.name, groups.size(), file.final_phase->seeds.size(),
                        groups.size() * file.final_phase->seeds.size());
  }
  return text;
}

SweepOutcome Sweep::run(train::Progress& progress, const std::function<bool()>& interrupted) {
  directory_->open(*plan_);
  SweepState state = directory_->state();
  state.threads = open_threads_;
  state.asked_threads = asked_threads_;
  directory_->save(state);

  Phase search(directory_->runs(), plan_->runs, plan_->file.metric, jobs_, program_);
  std::optional<StopRule> rule;
  if (plan_->file.stop) {
    rule.emplace(*plan_->file.stop, plan_->file.metric);
    rule->load(state.decisions);
    search.use(*rule, [&] {
      state.decisions = rule->decisions();
      directory_->save(state);
    });
  }
  const auto carry_out = [&](Phase& phase, const char* what, const Phase* last) {
    phase.load();
    progress.line(fmt::format("{}: {} runs, {} done before, {} at a time", what,
                              phase.runs().size(), phase.done(), jobs_));
    const auto changed = [&] { write_results(search, last); };
    const PhaseEnd end = phase.run(progress, interrupted, changed);
    changed();
    failure_ = phase.failure();
    return end;
  };
  PhaseEnd end = carry_out(search, "search", nullptr);
  if (end == PhaseEnd::kFailed) return SweepOutcome::kFailed;
  if (end == PhaseEnd::kInterrupted) return SweepOutcome::kInterrupted;
  std::string tables = best_table(*plan_, results_of("search", search));
  show(tables, progress);
  const std::vector<std::size_t> best = best_settings(*plan_, search);
  const std::vector<Run> final_runs =
      plan_->file.final_phase ? plan_->final_runs(best) : std::vector<Run>();
  if (!arrange_final_runs(*directory_, final_runs, progress, interrupted))
    return SweepOutcome::kInterrupted;
  bool usable = !best.empty();
  if (!final_runs.empty()) {
    Phase last(directory_->final_runs(), final_runs, plan_->file.final_phase->metric, jobs_,
               program_);
    end = carry_out(last, "final", &last);
    if (end == PhaseEnd::kFailed) return SweepOutcome::kFailed;
    if (end == PhaseEnd::kInterrupted) return SweepOutcome::kInterrupted;
    const std::string table = final_table(*plan_, results_of("final", last));
    show(table, progress);
    tables += "\n" + table;
    const std::vector<SettingResult> settings = by_setting(*plan_, last.runs(), last.results());
    usable = std::any_of(settings.begin(), settings.end(),
                         [](const SettingResult& setting) { return setting.usable(); });
  }
  tables += "\n" + settings_table(*plan_, results_of("search", search));
  io::write_file_atomically(directory_->path() / "table.md", tables);
  return usable ? SweepOutcome::kCompleted : SweepOutcome::kNothingUsable;
}

void Sweep::write_results(const Phase& search, const Phase* last) const {
  std::vector<PhaseResults> phases{results_of("search", search)};
  if (last != nullptr) phases.push_back(results_of("final", *last));
  io::write_file_atomically(directory_->path() / "results.json",
                            results_json(*plan_, phases).dump(2) + "\n");
  io::write_file_atomically(directory_->path() / "results.csv", results_csv(*plan_, phases));
}

}  // namespace decorr::sweep
