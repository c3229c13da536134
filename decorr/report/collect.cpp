#include "decorr/report/collect.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <set>
#include <system_error>

namespace decorr::report {
namespace {

namespace fs = std::filesystem;

// A run locks its folder and writes its configuration, and metrics at the end of its first epoch.
bool is_run(const fs::path& path) {
  return fs::exists(path / "config.toml") &&
         (fs::exists(path / "metrics.jsonl") || fs::exists(path / "lock"));
}

void find_runs(const fs::path& folder, std::vector<fs::path>& found) {
  if (is_run(folder)) {
    found.push_back(folder);
    return;
  }
  std::vector<fs::path> inside;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->is_directory() && !entry->is_symlink()) inside.push_back(entry->path());
  check_runtime(!error, "cannot read the folder {}: {}; check its permissions", folder.string(),
                error.message());
  std::sort(inside.begin(), inside.end());
  for (const fs::path& path : inside) find_runs(path, found);
}

}  // namespace

Collection collect(const std::vector<fs::path>& paths) {
  Collection result;
  std::set<fs::path> seen;
  for (const fs::path& path : paths) {
    check_argument(fs::exists(path), "no such folder, {}, give run directories or folders of them",
                   path.string());
    check_argument(fs::is_directory(path),
                   "not a folder, {}, give run directories or folders of them", path.string());
    std::vector<fs::path> found;
    find_runs(path, found);
    check_argument(!found.empty(),
                   "not a run directory and no folder of runs, {}, give what decorr train wrote: "
                   "folders with config.toml and metrics.jsonl or lock",
                   path.string());
    for (const fs::path& folder : found) {
      if (!seen.insert(fs::canonical(folder)).second) continue;
      Run run = read_run(folder);
      // A seed that diverged at once is one that gets nowhere, and counts as such.
      if (run.epochs.empty() && run.status != train::RunStatus::kDiverged)
        result.notes.push_back(
            fmt::format("{} has no whole epoch{} ({}) and is left out", folder.string(),
                        train::is_final(run.status) ? "" : " yet", to_string(run.status)));
      else
        result.runs.push_back(std::move(run));
    }
  }
  const std::string place = paths.empty() ? "nothing given" : paths.front().string();
  check_argument(!result.runs.empty(),
                 "no run has a whole epoch yet, {}, wait for the first one to end", place);
  check_argument(std::any_of(result.runs.begin(), result.runs.end(),
                             [](const Run& run) { return !run.epochs.empty(); }),
                 "no run has a whole epoch, all of them diverged in their first, {}, train with a "
                 "lower optimizer.lr",
                 place);
  return result;
}

}  // namespace decorr::report
