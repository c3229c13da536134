#include "decorr/data/registry.h"

#include "decorr/core/check.h"
#include "decorr/data/source.h"

#include <cstdlib>
#include <filesystem>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

const Source& source(const std::string& name) {
  std::vector<std::string> names;
  for (const Source& candidate : sources()) {
    if (candidate.info.name == name) return candidate;
    names.push_back(candidate.info.name);
  }
  throw std::invalid_argument(
      fmt::format("[data] dataset must be one of {}, got '{}'", fmt::join(names, ", "), name));
}

// The value of an environment variable, empty if it is not set.
std::string environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

// Where the dataset may be by its name, before what its archive unpacks to.
std::vector<fs::path> named_folders(const Source& dataset, const std::string& root) {
  if (!root.empty()) return {root};
  if (dataset.info.origin == Origin::kOwn) return {};
  std::vector<fs::path> folders;
  if (const fs::path data = data_folder(); !data.empty()) {
    folders = {data / dataset.info.name};
    if (!environment("DECORR_DATA").empty()) folders.push_back(data);
  }
  folders.insert(folders.end(), dataset.folders.begin(), dataset.folders.end());
  return folders;
}

std::vector<fs::path> candidates(const Source& dataset, const std::string& root) {
  std::vector<fs::path> folders;
  for (const fs::path& folder : named_folders(dataset, root)) {
    folders.push_back(folder);
    if (!dataset.unpacked.empty()) folders.push_back(folder / dataset.unpacked);
  }
  return folders;
}

}  // namespace

fs::path data_folder() {
  if (const fs::path data = environment("DECORR_DATA"); !data.empty()) return data;
  const fs::path home = environment("HOME");
  return home.empty() ? home : home / ".cache" / "decorr";
}

fs::path locate(const fs::path& folder, const std::string& file) {
  for (const char* suffix : {"", ".gz"}) {
    fs::path path = folder / (file + suffix);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return {};
}

std::string lacking(const fs::path& folder, const std::vector<std::string>& files) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "no such folder";
  std::vector<std::string> missing;
  for (const std::string& file : files)
    if (locate(folder, file).empty()) missing.push_back(file + "[.gz]");
  return missing.empty() ? "" : fmt::format("lacks {}", fmt::join(missing, ", "));
}

fs::path readable_place(const std::string& name, const fs::path& folder) {
  for (const Source& dataset : sources()) {
    if (dataset.info.name != name) continue;
    for (const fs::path& place : candidates(dataset, folder.string()))
      if (dataset.obstacle(place).empty()) return place;
  }
  return {};
}

std::vector<DatasetInfo> known_datasets() {
  std::vector<DatasetInfo> infos;
  for (const Source& dataset : sources()) infos.push_back(dataset.info);
  return infos;
}

std::string find(const std::string& name, const std::string& root) {
  const Source& dataset = source(name);
  if (dataset.info.origin == Origin::kComputed) {
    check_argument(
        root.empty(),
        "[data] dataset '{}' has no files, got the folder {}; remove data.root or --root", name,
        root);
    return "";
  }
  std::vector<std::string> places;
  for (const fs::path& folder : candidates(dataset, root)) {
    const std::string reason = dataset.obstacle(folder);
    if (reason.empty()) return folder.string();
    places.push_back(fmt::format("{} ({})", folder.string(), reason));
  }
  const std::string nowhere = dataset.info.origin == Origin::kOwn ? "no place (no root is given)"
                                                                  : "no place (HOME is not set)";
  throw std::runtime_error(
      fmt::format("[data] dataset '{}' was not found, looked in: {}; {}", name,
                  places.empty() ? nowhere : fmt::format("{}", fmt::join(places, "; ")),
                  dataset.info.how_to_get));
}

Dataset load(const std::string& name, const std::string& split, const std::string& root) {
  LoadOptions options;
  options.root = root;
  return load(name, split, options);
}

Dataset load(const std::string& name, const std::string& split, const LoadOptions& options) {
  const Source& dataset = source(name);
  check_argument(split == "train" || split == "test",
                 "[data] split of dataset '{}' must be train or test, got '{}'", name, split);
  const std::string place = find(name, options.root);
  Dataset result = dataset.read(place, split, options);
  try {
    result.validate();
  } catch (const std::invalid_argument& error) {
    // The caller asked for something sensible: the files are to blame.
    throw std::runtime_error(fmt::format(
        "{}; the {} files in {} are not those of {}, {}", error.what(), split, place, name,
        dataset.info.origin == Origin::kOwn ? "correct them" : "download them again"));
  }
  return result;
}

}  // namespace decorr::data
