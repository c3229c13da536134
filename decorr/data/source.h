#pragma once

#include "decorr/data/registry.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

// The known datasets, each with how it is found and read. Internal to data/: not installed.
namespace decorr::data {

/// A dataset that load() knows.
struct Source {
  DatasetInfo info;
  std::vector<std::string> folders;  ///< where the system's package puts it
  std::string unpacked;              ///< folder that the official archive unpacks to; empty: none
  /// Why the dataset can't be read from `place`, a folder or a file; empty if it can.
  std::function<std::string(const std::filesystem::path& place)> obstacle;
  /// Reads the part `split` from `place`. Throws as load() does.
  std::function<Dataset(const std::filesystem::path& place, const std::string& split,
                        const LoadOptions& options)>
      read;
};

/// All of them, in the order of a listing. To add one, add an entry and, for a new format, its
/// reader.
const std::vector<Source>& sources();

/// The path of `file` in `folder`, as it is or with .gz; empty if neither is there.
std::filesystem::path locate(const std::filesystem::path& folder, const std::string& file);

/// Why `folder` does not serve: it is no folder, or which of `files`, each as it is or with .gz, it
/// lacks; empty if it has them all.
std::string lacking(const std::filesystem::path& folder, const std::vector<std::string>& files);

/// Where find() finds dataset `name` if its root is `folder`; empty if nowhere, or if there is no
/// such dataset.
std::filesystem::path readable_place(const std::string& name, const std::filesystem::path& folder);

/// The folder that datasets are kept in: $DECORR_DATA, else ~/.cache/decorr; empty without either.
std::filesystem::path data_folder();

}  // namespace decorr::data
