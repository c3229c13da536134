#include "decorr/data/cifar_files.h"

#include "decorr/core/check.h"
#include "decorr/data/archive.h"
#include "decorr/data/cifar.h"
#include "decorr/data/gzip_file.h"
#include "decorr/data/source.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> both(const CifarFiles& files) {
  std::vector<std::string> all = files.train;
  all.insert(all.end(), files.test.begin(), files.test.end());
  return all;
}

// The lines of `text` as class names, one a line.
std::vector<std::string> class_names(const std::string& text, const std::string& name,
                                     std::size_t count) {
  std::vector<std::string> names;
  std::string line;
  for (const char c : text + '\n') {
    if (c != '\n') {
      if (c != '\r') line += c;
    } else if (!line.empty()) {
      names.push_back(std::exchange(line, ""));
    }
  }
  check_runtime(names.size() == count,
                "[read_cifar100] {} must name {} classes, one a line, got {}; download it again",
                name, count, names.size());
  return names;
}

Dataset assemble(const CifarFiles& files, const std::string& split,
                 const std::map<std::string, std::string>& contents, const fs::path& place) {
  std::vector<at::Tensor> images, labels;
  for (const std::string& file : split == "train" ? files.train : files.test) {
    const auto found = contents.find(file);
    check_runtime(found != contents.end(), "[data] {} lacks {}; download it again", place.string(),
                  file);
    const auto parse = files.name == "cifar10" ? parse_cifar10 : parse_cifar100;
    auto [some_images, some_labels] = parse(found->second, (place / file).string());
    images.push_back(std::move(some_images));
    labels.push_back(std::move(some_labels));
  }
  Dataset result{files.name, at::cat(images), at::cat(labels), files.classes};
  if (const auto names = contents.find(files.class_names); names != contents.end())
    result.classes =
        class_names(names->second, (place / files.class_names).string(), files.classes.size());
  return result;
}

std::map<std::string, std::string> wanted_files(const fs::path& folder,
                                                const std::vector<std::string>& wanted) {
  std::map<std::string, std::string> contents;
  for (const std::string& file : wanted)
    if (const fs::path path = locate(folder, file); !path.empty())
      contents[file] = GzipFile("read_cifar", path.string()).read_rest();
  return contents;
}

}  // namespace

const CifarFiles& cifar10_files() {
  static const CifarFiles files{
      "cifar10",
      "cifar-10-binary.tar.gz",
      "cifar-10-batches-bin",
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
       "data_batch_5.bin"},
      {"test_batch.bin"},
      "",
      {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}};
  return files;
}

const CifarFiles& cifar100_files() {
  static const CifarFiles files{
      "cifar100",
      "cifar-100-binary.tar.gz",
      "cifar-100-binary",
      {"train.bin"},
      {"test.bin"},
      "fine_label_names.txt",
      {"apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
       "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
       "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
       "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
       "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
       "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
       "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
       "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
       "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
       "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
       "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
       "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
       "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
       "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
       "table",       "tank",          "telephone", "television", "tiger",        "tractor",
       "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
       "willow_tree", "wolf",          "woman",     "worm"}};
  return files;
}

std::string cifar_obstacle(const fs::path& folder, const CifarFiles& files) {
  std::error_code ignored;
  if (fs::is_regular_file(folder / files.archive, ignored)) return "";
  return lacking(folder, both(files));
}

Dataset read_cifar(const fs::path& folder, const std::string& split, const CifarFiles& files) {
  std::vector<std::string> wanted = split == "train" ? files.train : files.test;
  if (!files.class_names.empty()) wanted.push_back(files.class_names);
  if (lacking(folder, both(files)).empty())
    return assemble(files, split, wanted_files(folder, wanted), folder);
  const fs::path archive = folder / files.archive;
  const auto leaf = [](const std::string& path) { return fs::path(path).filename().string(); };
  std::map<std::string, std::string> contents;
  for (auto& [path, bytes] : read_tar(archive.string(), [&](const std::string& path) {
         return std::count(wanted.begin(), wanted.end(), leaf(path)) > 0;
       }))
    contents[leaf(path)] = std::move(bytes);
  return assemble(files, split, contents, archive);
}

}  // namespace decorr::data
