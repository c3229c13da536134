#pragma once

#include "decorr/data/decode_images.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

// Internal to data/: not installed.
namespace decorr::data {

/// The file that keeps the decoded images of one part of one ImageTree in one size, in
/// `decoded/` of data_folder().
///
/// It is a safetensors file with `images`, `labels`, the paths of skipped files, a checksum (CRC-32
/// of the elements) and a fingerprint: of the paths, sizes and times of change of all the tree's
/// files, of their labels, the size of the images and the version of this format.
class DecodedCache {
 public:
  /// Looks at every file of `tree`, none of which is opened.
  DecodedCache(const ImageTree& tree, const std::string& split, std::int64_t image_size);

  /// What is kept, if it is whole and the files are as they were. With a note on stderr, nothing if
  /// the file is damaged or out of date; without, if there is none.
  std::optional<DecodedImages> read() const;

  /// Keeps `decoded`, atomically; if that fails, a note on stderr says so and why.
  void write(const DecodedImages& decoded) const;

  /// Where the file is; empty if there is no folder to keep it in.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::string fingerprint_;
};

}  // namespace decorr::data
