#pragma once

#include "decorr/data/fetch/events.h"
#include "decorr/data/fetch/manifest.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace decorr::data {

/// How unpack() goes about it.
struct UnpackLimits {
  std::string top_folder;       ///< its files are put one level higher; empty: none
  std::uint64_t max_bytes = 0;  ///< of all files together; 0: what the disk has free
};

/// Unpacks `archive` (tar, tar.gz or zip) into the existing, empty `folder` and returns its files
/// with their sums. The progress is that of the bytes read.
///
/// Only folders and regular files are accepted, with relative names that stay inside: links,
/// devices, absolute names, `..`, control characters and backslashes in names are refused, and so
/// are two files of one name and more bytes than `limits` allow, whatever the archive declares.
/// Owners and permissions of the archive are ignored.
///
/// Throws BadContent if the archive is damaged or refused, `std::runtime_error` if it cannot be
/// opened or a file not be written, FetchStopped. What was unpacked until then stays.
std::vector<FileSum> unpack(const std::filesystem::path& archive,
                            const std::filesystem::path& folder, const UnpackLimits& limits,
                            const FetchEvents& events);

/// Name of the first member of `archive`; empty if it is no archive or has none.
std::string first_member(const std::filesystem::path& archive);

}  // namespace decorr::data
