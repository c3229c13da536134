#include "decorr/report/group_names.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string_view>

namespace decorr::report {
namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_separator(char c) { return c == '-' || c == '_' || c == ' '; }

// Takes `ending` off `text` if it is there.
bool drop(std::string& text, std::string_view ending) {
  if (text.size() < ending.size() ||
      text.compare(text.size() - ending.size(), ending.size(), ending) != 0)
    return false;
  text.resize(text.size() - ending.size());
  return true;
}

// Whether a digit that follows belongs to a number that `text` began: 1, 0. or 3e-.
bool ends_in_a_number(const std::string& text) {
  const std::size_t size = text.size();
  return (size >= 1 && (is_digit(text[size - 1]) || text[size - 1] == '.')) ||
         (size >= 3 && text[size - 1] == '-' && text[size - 2] == 'e' && is_digit(text[size - 3]));
}

void drop_separators(std::string& text) {
  while (!text.empty() && is_separator(text.back())) text.pop_back();
}

// Where the settings begin that the folder of a run of a sweep ends in, as in
// plain-optimizer.lr=0.1-decorrelation.lr=1: behind the variant, if it has one.
std::size_t settings_begin(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  for (std::size_t i = begin; i < name.size(); ++i) {
    if (name[i] == '=' && i > begin) return begin;
    if (!is_letter(name[i]) && !is_digit(name[i]) && name[i] != '.' && name[i] != '_')
      begin = i + 1;
  }
  return name.size();
}

// `name` without its settings: plain.
std::string without_settings(const std::string& name) {
  std::string result = name.substr(0, settings_begin(name));
  drop_separators(result);
  return result;
}

// Takes the number off by which the folders of a sweep differ that cannot be called what their
// settings say: plain-model.hidden=_64_-seed=42-0123abcd.
std::string without_hash(const std::string& name, const std::string& seed) {
  constexpr std::size_t kDigits = 8;
  std::string rest = name;
  if (rest.size() <= kDigits + 1 || rest[rest.size() - kDigits - 1] != '-' ||
      rest.find_first_not_of("0123456789abcdef", rest.size() - kDigits) != std::string::npos)
    return name;
  rest.resize(rest.size() - kDigits - 1);
  std::string stem = rest;
  return drop(stem, "seed=" + seed) ? rest : name;
}

// The name of the folder, or of the one around it if it tells nothing but a seed; `depth` more
// folders in front.
std::string name_of(const Run& run, int depth) {
  auto folder = std::filesystem::weakly_canonical(run.path);
  std::string name = without_seed(run.name, run.seed);
  while (name.empty() && folder.has_relative_path()) {
    folder = folder.parent_path();
    name = folder.filename().string();
  }
  for (; depth > 0 && folder.parent_path().has_relative_path(); --depth) {
    folder = folder.parent_path();
    name = folder.filename().string() + "/" + name;
  }
  return name;
}

// What the folders of all runs in each group are called, with or without the settings behind a
// variant; empty unless that tells the groups apart.
std::vector<std::string> names_of_folders(const std::vector<Group>& groups, int depth,
                                          bool with_settings) {
  const auto name = [&](const Run& run) {
    const std::string whole = name_of(run, depth);
    return with_settings ? whole : without_settings(whole);
  };
  std::vector<std::string> names;
  for (const Group& group : groups) {
    names.push_back(name(group.runs.front()));
    if (names.back().empty() || names.back().back() == '/') return {};
    for (const Run& run : group.runs)
      if (name(run) != names.back()) return {};
    if (std::none_of(names.back().begin(), names.back().end(), is_letter)) return {};
  }
  const std::set<std::string> distinct(names.begin(), names.end());
  return distinct.size() == names.size() ? names : std::vector<std::string>{};
}

std::string shown(const std::string& key, const std::string& value) {
  const std::string leaf = key.substr(key.rfind('.') + 1);
  if (value.empty()) return "no " + leaf;
  if (value.front() == '"' && value.find(" | ") == std::string::npos)
    return value.substr(1, value.size() - 2);
  return leaf + " " + value;
}

// The values in which the groups differ. Keys that only some groups have follow from others.
std::vector<std::string> names_of_settings(const std::vector<Group>& groups) {
  std::vector<std::string> keys = differing_keys(groups);
  const auto everywhere = [&](const std::string& key) {
    return std::none_of(groups.begin(), groups.end(),
                        [&](const Group& group) { return group.setting(key).empty(); });
  };
  // What is learnt and how comes first.
  const auto rank = [&](const std::string& key) {
    if (key == "data.name") return 0;
    if (key == "learning.rule") return 1;
    if (key == "decorrelation.method") return 2;
    return everywhere(key) ? 3 : 4;
  };
  std::stable_sort(keys.begin(), keys.end(),
                   [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  std::vector<std::string> names(groups.size());
  for (const std::string& key : keys) {
    const std::set<std::string> distinct(names.begin(), names.end());
    if (rank(key) == 4 && distinct.size() == names.size()) break;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const std::string value = groups[i].setting(key);
      if (rank(key) == 4 && value.empty()) continue;
      names[i] += (names[i].empty() ? "" : ", ") + shown(key, value);
    }
  }
  return names;
}

// Leaves out the words that all names begin with, if a word is left of each. A variant that another
// begins with stays: bp-optimizer.lr=0.1 and bp-batch-norm-optimizer.lr=0.1.
void drop_common_words(std::vector<std::string>& names) {
  if (names.size() < 2) return;
  std::size_t cut = 0;
  const std::string& first = names.front();
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (std::any_of(names.begin(), names.end(), [&](const std::string& name) {
          return i + 1 >= name.size() || name[i] != first[i];
        }))
      break;
    const bool word_begins = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return is_letter(name[i + 1]);
    });
    const auto only_settings =
        std::count_if(names.begin(), names.end(),
                      [&](const std::string& name) { return settings_begin(name) <= i + 1; });
    const bool variants_stay =
        only_settings == 0 || only_settings == static_cast<std::ptrdiff_t>(names.size());
    if ((first[i] == '-' || first[i] == '/') && word_begins && variants_stay) cut = i + 1;
  }
  for (std::string& name : names) name.erase(0, cut);
}

}  // namespace

std::string without_seed(const std::string& name, std::int64_t seed) {
  std::string result = without_hash(name, std::to_string(seed));
  const bool numbered = drop(result, std::to_string(seed));
  if (numbered && ends_in_a_number(result)) return name;
  std::string stem = result;
  drop_separators(stem);
  for (const std::string_view word : {"seed", "seed=", "s"}) {
    std::string rest = stem;
    if (!drop(rest, word) || (!numbered && word != "seed")) continue;
    if (!rest.empty() && !is_separator(rest.back())) continue;
    drop_separators(rest);
    return rest;
  }
  // Without a separator the number may belong to the name: cifar10.
  return numbered && (result.empty() || is_separator(result.back())) ? stem : name;
}

void name_groups(std::vector<Group>& groups) {
  constexpr int kMostFolders = 3;
  std::vector<std::string> names;
  for (const bool with_settings : {false, true})
    for (int depth = 0; names.empty() && depth < kMostFolders; ++depth)
      names = names_of_folders(groups, depth, with_settings);
  if (names.empty()) names = names_of_settings(groups);
  drop_common_words(names);
  std::map<std::string, int> used;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::string& name = groups[i].name = names[i].empty() ? groups[i].runs.front().name : names[i];
    const int count = ++used[name];
    if (count > 1) name += fmt::format(" ({})", count);
  }
}

}  // namespace decorr::report
