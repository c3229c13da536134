#pragma once

#include "decorr/data/dataset.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace decorr::data {

/// Settings for datasets of image files.
struct ImageOptions {
  /// Side to which images are scaled and cropped, >= 0; 0: as they are, all of one size.
  std::int64_t image_size = 0;
  /// Leave out files that cannot be decoded, with a note on stderr; otherwise they are an error.
  bool skip_corrupt = false;
  /// Whether to stop; asked now and then while files are decoded. Empty: never.
  std::function<bool()> should_stop = {};
};

/// Loading ended early because ImageOptions::should_stop asked for it. Nothing was kept.
class LoadStopped : public std::runtime_error {
 public:
  LoadStopped() : std::runtime_error("[data] stopped while the images were decoded; start again") {}
};

/// An image file and its class.
struct LabelledFile {
  std::string path;  ///< relative to the tree's root
  std::int64_t label = 0;
};

/// The image files of a dataset, none of them read yet.
struct ImageTree {
  std::string name;  ///< of the dataset
  std::filesystem::path root;
  std::vector<std::string> classes;
  std::vector<LabelledFile> train, test;
};

/// Lists `root`/train/<class>/… and `root`/test/<class>/… (or `root`/val/…): the .png, .jpg and
/// .jpeg files of each class, in folders inside it too. Classes are the sorted folders of train;
/// files are sorted by path.
///
/// Throws `std::runtime_error` when a folder is missing, has no image, or is a class of the test
/// part alone.
ImageTree list_image_folder(const std::filesystem::path& root);

/// Lists Tiny ImageNet in the official folder `root` (wnids.txt, words.txt, train, val). Classes
/// are in the order of their sorted WordNet identifiers and have the first name in words.txt, or
/// the identifier. The test part is the official validation part: the official test part has no
/// labels.
///
/// Throws `std::runtime_error` for missing files, a class without images, and lines of
/// val_annotations.txt that name no class or no file.
ImageTree list_tiny_imagenet(const std::filesystem::path& root);

/// The part `split` (`train` or `test`) of `tree`: from the cache if it is there, else decoded and
/// put there; see read_decoded(). Images are grey if all of both parts are, else in colour.
///
/// Throws `std::runtime_error` naming the file for one that cannot be decoded (unless skipped) or
/// has another size than the others (unless all are scaled), and when no image is left;
/// LoadStopped.
Dataset load_images(const ImageTree& tree, const std::string& split, const ImageOptions& options);

}  // namespace decorr::data
