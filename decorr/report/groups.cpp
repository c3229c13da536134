#include "decorr/report/groups.h"

#include "decorr/core/check.h"
#include "decorr/report/group_names.h"
#include "decorr/train/nearest_name.h"

#include <algorithm>
#include <map>
#include <set>

namespace decorr::report {
namespace {

// Whether the learning rate at a step depends on how long the run is meant to be.
bool follows_length(const Run& run) {
  return run.setting("optimizer.schedule") == "\"cosine\"" && run.setting("optimizer.total") == "0";
}

// What runs of one experiment have in common, in one string.
std::string identity(const Run& run) {
  std::string result;
  for (const auto& [key, value] : run.settings) {
    const bool length = key == "train.epochs" || key == "train.early_stopping";
    if (is_incidental(key) || (length && !follows_length(run))) continue;
    result += fmt::format("{} = {}\n", key, value);
  }
  return result;
}

void check_keys(const std::vector<Run>& runs, const std::vector<std::string>& keys) {
  std::set<std::string> known;
  for (const Run& run : runs)
    for (const auto& entry : run.settings) known.insert(entry.first);
  for (const std::string& key : keys)
    check_argument(known.count(key) > 0,
                   "no run has the key \"{}\", --group-by, did you mean \"{}\"?", key,
                   train::nearest_name(key, {known.begin(), known.end()}));
}

// Leaves out what repeats another run to the seed.
std::vector<Run> without_duplicates(std::vector<Run> runs, std::vector<std::string>& notes) {
  std::map<std::string, std::size_t> places;
  std::vector<Run> kept;
  for (Run& run : runs) {
    const auto [place, is_new] =
        places.emplace(fmt::format("{}seed = {}", identity(run), run.seed), kept.size());
    if (is_new) {
      kept.push_back(std::move(run));
      continue;
    }
    Run& other = kept[place->second];
    if (run.epochs.size() > other.epochs.size()) std::swap(run, other);
    notes.push_back(fmt::format("{} has the settings and the seed of {} and is left out",
                                run.path.string(), other.path.string()));
  }
  return kept;
}

std::string mixed_settings(const Group& group) {
  std::set<std::string> identities;
  for (const Run& run : group.runs) identities.insert(identity(run));
  if (identities.size() < 2) return "";
  std::vector<Group> single;
  for (const Run& run : group.runs) single.push_back({"", {run}});
  return fmt::format("{}", fmt::join(differing_keys(single), ", "));
}

}  // namespace

std::string Group::setting(const std::string& key) const {
  std::vector<std::string> values;
  for (const Run& run : runs) {
    const std::string value = run.setting(key);
    if (!value.empty() && std::find(values.begin(), values.end(), value) == values.end())
      values.push_back(value);
  }
  return fmt::format("{}", fmt::join(values, " | "));
}

bool Group::is_plain() const {
  return setting("decorrelation.method") == "\"none\"" && setting("decorrelation.layers").empty();
}

std::size_t Group::epochs() const {
  std::size_t most = 0;
  for (const Run& run : runs) most = std::max(most, run.epochs.size());
  return most;
}

std::size_t Group::diverged() const {
  return static_cast<std::size_t>(std::count_if(runs.begin(), runs.end(), [](const Run& run) {
    return run.status == train::RunStatus::kDiverged;
  }));
}

std::size_t Group::unfinished() const {
  return static_cast<std::size_t>(std::count_if(
      runs.begin(), runs.end(), [](const Run& run) { return !train::is_final(run.status); }));
}

bool is_incidental(const std::string& key) {
  static const std::set<std::string> keys = {
      "seed",      "train.threads", "train.keep",           "train.checkpoint_every",
      "data.root", "data.prefetch", "train.eval_batch_size"};
  return keys.count(key) > 0;
}

Grouping group_runs(std::vector<Run> runs, const std::vector<std::string>& keys) {
  check_keys(runs, keys);
  Grouping result;
  std::map<std::string, std::size_t> places;
  for (Run& run : without_duplicates(std::move(runs), result.notes)) {
    std::string label = keys.empty() ? identity(run) : "";
    for (const std::string& key : keys) label += fmt::format("{} = {}\n", key, run.setting(key));
    const auto [place, is_new] = places.emplace(label, result.groups.size());
    if (is_new) result.groups.emplace_back();
    result.groups[place->second].runs.push_back(std::move(run));
  }
  for (Group& group : result.groups)
    std::stable_sort(group.runs.begin(), group.runs.end(),
                     [](const Run& a, const Run& b) { return a.seed < b.seed; });
  name_groups(result.groups);
  for (const Group& group : result.groups)
    if (const std::string mixed = mixed_settings(group); !mixed.empty())
      result.notes.push_back(
          fmt::format("{} puts runs together that differ in {}", group.name, mixed));
  return result;
}

std::vector<std::string> differing_keys(const std::vector<Group>& groups) {
  std::set<std::string> keys;
  for (const Group& group : groups)
    for (const Run& run : group.runs)
      for (const auto& entry : run.settings)
        if (!is_incidental(entry.first)) keys.insert(entry.first);
  std::vector<std::string> result;
  for (const std::string& key : keys) {
    const std::string first = groups.front().setting(key);
    if (std::any_of(groups.begin(), groups.end(),
                    [&](const Group& group) { return group.setting(key) != first; }))
      result.push_back(key);
  }
  return result;
}

}  // namespace decorr::report
