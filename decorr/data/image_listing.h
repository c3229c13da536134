#pragma once

#include "decorr/data/image_tree.h"

// Internal to data/: not installed.
namespace decorr::data {

/// Appends the image files in `root`/`folder`, by the ends of their names, and in the folders
/// inside it to `files`, sorted by path, with label `label`. Throws `std::runtime_error` naming the
/// folder if it cannot be read or has none.
void append_images(std::vector<LabelledFile>& files, const std::filesystem::path& root,
                   const std::filesystem::path& folder, std::int64_t label);

}  // namespace decorr::data
