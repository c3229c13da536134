#include "decorr/data/image_listing.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <cctype>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

bool is_image(const fs::path& path) {
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool hidden = path.filename().string().front() == '.';
  return !hidden && (end == ".png" || end == ".jpg" || end == ".jpeg");
}

}  // namespace

void append_images(std::vector<LabelledFile>& files, const fs::path& root, const fs::path& folder,
                   std::int64_t label) {
  const auto first = static_cast<std::ptrdiff_t>(files.size());
  std::error_code error;
  fs::recursive_directory_iterator entry(root / folder,
                                         fs::directory_options::follow_directory_symlink, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (is_image(entry->path()) && entry->is_regular_file(ignored))
      files.push_back({entry->path().lexically_relative(root).string(), label});
  }
  check_runtime(!error, "[data] cannot read {}: {}; check the folder", (root / folder).string(),
                error.message());
  check_runtime(static_cast<std::ptrdiff_t>(files.size()) > first,
                "[data] the class folder {} has no images (.png, .jpg, .jpeg); add some or remove "
                "it",
                (root / folder).string());
  std::sort(files.begin() + first, files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
}

}  // namespace decorr::data
