#include "decorr/core/check.h"
#include "decorr/data/image_listing.h"
#include "decorr/io/atomic_file.h"

#include <algorithm>
#include <map>
#include <set>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

using Rows = std::vector<std::vector<std::string>>;

// The lines of a file that are not empty, split at tabs.
Rows read_table(const fs::path& path) {
  Rows rows;
  std::vector<std::string> row(1);
  for (const char c : io::read_file(path) + '\n') {
    if (c == '\t') {
      row.emplace_back();
    } else if (c != '\n') {
      if (c != '\r') row.back() += c;
    } else {
      if (row.size() > 1 || !row.front().empty()) rows.push_back(row);
      row.assign(1, "");
    }
  }
  return rows;
}

// The name of each class: the first of its synonyms in words.txt, where there is one.
std::vector<std::string> names_of(const std::vector<std::string>& identifiers,
                                  const fs::path& words) {
  std::map<std::string, std::string> known;
  std::error_code ignored;
  if (fs::exists(words, ignored))
    for (const auto& row : read_table(words))
      if (row.size() > 1) known[row[0]] = row[1].substr(0, row[1].find(','));
  std::vector<std::string> names;
  for (const std::string& identifier : identifiers) {
    const auto found = known.find(identifier);
    names.push_back(found == known.end() || found->second.empty() ? identifier : found->second);
  }
  return names;
}

}  // namespace

ImageTree list_tiny_imagenet(const fs::path& root) {
  std::set<std::string> sorted;
  for (const auto& row : read_table(root / "wnids.txt")) sorted.insert(row[0]);
  const std::vector<std::string> identifiers(sorted.begin(), sorted.end());
  check_runtime(!identifiers.empty(), "[tiny-imagenet] {} names no class; download it again",
                (root / "wnids.txt").string());
  ImageTree tree{"tiny-imagenet", root, names_of(identifiers, root / "words.txt"), {}, {}};
  std::map<std::string, std::int64_t> labels;
  for (const std::string& identifier : identifiers) {
    const auto label = static_cast<std::int64_t>(labels.size());
    labels[identifier] = label;
    append_images(tree.train, root, fs::path("train") / identifier / "images", label);
  }
  const fs::path annotations = root / "val" / "val_annotations.txt";
  for (const auto& row : read_table(annotations)) {
    const auto found = row.size() > 1 ? labels.find(row[1]) : labels.end();
    check_runtime(found != labels.end(),
                  "[tiny-imagenet] {} must have a file and a class of wnids.txt in each line, got "
                  "\"{}\"; download it again",
                  annotations.string(), fmt::join(row, " "));
    std::error_code ignored;
    const fs::path file = fs::path("val") / "images" / row[0];
    check_runtime(fs::is_regular_file(root / file, ignored),
                  "[tiny-imagenet] {} is in val_annotations.txt and not there; download it again",
                  (root / file).string());
    tree.test.push_back({file.string(), found->second});
  }
  check_runtime(!tree.test.empty(), "[tiny-imagenet] {} names no image; download it again",
                annotations.string());
  std::sort(tree.test.begin(), tree.test.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return tree;
}

}  // namespace decorr::data
