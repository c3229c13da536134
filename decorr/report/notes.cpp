#include "decorr/report/notes.h"

#include "decorr/core/check.h"
#include "decorr/report/plural.h"

#include <algorithm>
#include <map>
#include <set>

namespace decorr::report {
namespace {

void note_status(const Group& group, std::vector<std::string>& result) {
  static const std::map<train::RunStatus, const char*> states = {
      {train::RunStatus::kRunning, "is still running"},
      {train::RunStatus::kKilled, "was killed"},
      {train::RunStatus::kInterrupted, "was interrupted"},
      {train::RunStatus::kDiverged, "diverged"}};
  for (const Run& run : group.runs) {
    const auto state = states.find(run.status);
    if (state == states.end()) continue;
    result.push_back(fmt::format("{}, seed {}: the run {} after {} of {} epochs ({})", group.name,
                                 run.seed, state->second, run.epochs.size(),
                                 run.setting("train.epochs"), run.path.string()));
  }
}

void note_epochs(const std::vector<Group>& groups, std::vector<std::string>& result) {
  for (const Group& group : groups) {
    const auto fewest = std::min_element(
        group.runs.begin(), group.runs.end(),
        [](const Run& a, const Run& b) { return a.epochs.size() < b.epochs.size(); });
    if (fewest->epochs.size() < group.epochs())
      result.push_back(
          fmt::format("{}: its runs have between {} and {}; curves go on with fewer seeds",
                      group.name, fewest->epochs.size(), plural(group.epochs(), "epoch")));
  }
  std::map<std::size_t, std::vector<std::string>> by_epochs;
  for (const Group& group : groups) by_epochs[group.epochs()].push_back(group.name);
  if (by_epochs.size() < 2) return;
  const std::size_t most = by_epochs.rbegin()->first;
  for (const auto& [epochs, names] : by_epochs)
    if (epochs < most)
      result.push_back(fmt::format("{} where others have {}: {}", plural(epochs, "epoch"), most,
                                   fmt::join(names, "; ")));
}

// Distinct values of a setting over all runs.
std::set<std::string> values(const std::vector<Group>& groups, const std::string& key) {
  std::set<std::string> result;
  for (const Group& group : groups)
    for (const Run& run : group.runs) result.insert(run.setting(key));
  return result;
}

}  // namespace

std::vector<std::string> notes(const std::vector<Group>& groups) {
  std::vector<std::string> result;
  if (const auto names = values(groups, "data.name"); names.size() > 1)
    result.push_back(
        fmt::format("the runs are on different data sets, whose accuracies do not compare: {}",
                    fmt::join(names, ", ")));
  for (const Group& group : groups) note_status(group, result);
  note_epochs(groups, result);
  if (const auto counts = values(groups, "train.threads"); counts.size() > 1)
    result.push_back(
        fmt::format("seconds do not compare: runs used different numbers of threads (train.threads "
                    "{})",
                    fmt::join(counts, ", ")));
  for (const Group& group : groups)
    for (const Run& run : group.runs)
      if (!run.resumed.empty())
        result.push_back(
            fmt::format("{}, seed {}: resumed in the middle of epoch {}, whose seconds are partly "
                        "estimated",
                        group.name, run.seed, fmt::join(run.resumed, ", ")));
  return result;
}

}  // namespace decorr::report
