#pragma once

#include "decorr/data/fetch/output_file.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace decorr::data {

/// A download in the making: `NAME.part` with the bytes so far, and `NAME.part.json` with where
/// they came from, so that a later process can go on.
class PartFile {
 public:
  /// Of the file that is to be `path`.
  explicit PartFile(const std::filesystem::path& path);

  /// Bytes so far; 0 if there is nothing to go on with.
  std::uint64_t size() const;

  /// The validator (strong ETag or Last-Modified) that `url` gave with the first bytes; empty if it
  /// gave none or the bytes began to come from elsewhere.
  std::string validator(const std::string& url) const;

  /// Drops all bytes and notes where the next ones come from.
  void restart(const std::string& url, const std::string& validator);

  void append(std::string_view bytes);

  /// Flushes to the disk and gives it its final name.
  void publish();

  /// Drops all bytes.
  void remove();

 private:
  std::filesystem::path path_, part_, record_;
  std::unique_ptr<OutputFile> file_;
};

}  // namespace decorr::data
