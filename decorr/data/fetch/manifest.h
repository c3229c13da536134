#pragma once

#include "decorr/data/fetch/events.h"
#include "decorr/data/fetch/source.h"

#include <filesystem>
#include <string>
#include <vector>

namespace decorr::data {

/// Name of the list of sums that fetch() puts into a data set's folder; `sha256sum -c` reads it.
inline constexpr const char* kManifest = "SHA256SUMS";

/// A file of a data set.
struct FileSum {
  std::string path;  ///< relative to the data set's folder, without control characters
  std::string sha256;
};

/// Writes the list of `sums` into `folder`.
void write_manifest(const std::filesystem::path& folder, const std::vector<FileSum>& sums);

/// Whether the data set of `source` is whole in `folder`, and how many of its files were checked.
struct Wholeness {
  std::string obstacle;   ///< what is wrong, empty if nothing is
  std::size_t files = 0;  ///< 0 without an obstacle: they have another form that load() reads
};

/// Checks every file of the manifest in `folder` by its sum, and that it lists what `source`
/// requires and the sums of files that are kept as they are.
///
/// A folder that was filled by hand has no manifest. There the required files are checked by their
/// lengths, or, if some are missing, those that load() would read instead: files that are not
/// compressed, the archive, or the folder it unpacks to. Throws FetchStopped, and
/// `std::runtime_error` if a file cannot be read.
Wholeness check_folder(const FetchSource& source, const std::filesystem::path& folder,
                       const FetchEvents& events);

/// What is wrong with the required files of `source` in `folder`; empty if they are all there with
/// their lengths.
std::string missing_files(const FetchSource& source, const std::filesystem::path& folder);

}  // namespace decorr::data
