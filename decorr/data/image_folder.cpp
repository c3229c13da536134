#include "decorr/core/check.h"
#include "decorr/data/image_listing.h"

#include <algorithm>
#include <map>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

// The names of the folders in `folder`, sorted; hidden ones do not count.
std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (entry->is_directory(ignored) && name.front() != '.') names.push_back(std::move(name));
  }
  check_runtime(!error, "[image-folder] cannot read {}: {}; check the folder", folder.string(),
                error.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

ImageTree list_image_folder(const fs::path& root) {
  std::error_code ignored;
  const std::string test = fs::is_directory(root / "test", ignored) ? "test" : "val";
  ImageTree tree{"image-folder", root, folders_in(root / "train"), {}, {}};
  check_runtime(!tree.classes.empty(),
                "[image-folder] {} has no folders; put the images of each class into one",
                (root / "train").string());
  std::map<std::string, std::int64_t> labels;
  for (const std::string& name : tree.classes) {
    const auto label = static_cast<std::int64_t>(labels.size());
    labels[name] = label;
    append_images(tree.train, root, fs::path("train") / name, label);
  }
  const std::vector<std::string> tested = folders_in(root / test);
  check_runtime(!tested.empty(),
                "[image-folder] {} has no folders; put the images of each class into one",
                (root / test).string());
  for (const std::string& name : tested) {
    check_runtime(labels.count(name) > 0,
                  "[image-folder] {} is the folder of a class that {} does not have; add or remove "
                  "it",
                  (root / test / name).string(), (root / "train").string());
    append_images(tree.test, root, fs::path(test) / name, labels.at(name));
  }
  return tree;
}

}  // namespace decorr::data
