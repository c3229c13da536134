#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct gzFile_s;

// Internal to data/: not installed.
namespace decorr::data {

/// A file that is decompressed if it is a gzip stream and read as it is otherwise.
class GzipFile {
 public:
  /// Opens the file at `path`; messages begin with `operation` in brackets. Throws
  /// `std::runtime_error` if that fails.
  GzipFile(std::string operation, std::string path);

  /// Puts the next bytes, at most `count`, into `target`; returns how many there were, fewer only
  /// at the end. Throws `std::runtime_error` for a stream that is cut off or corrupt.
  std::size_t read(std::uint8_t* target, std::size_t count);

  /// All the bytes that follow.
  std::string read_rest();

 private:
  struct Closer {
    void operator()(gzFile_s* file) const;
  };

  std::string operation_;
  std::string path_;
  std::unique_ptr<gzFile_s, Closer> file_;
};

}  // namespace decorr::data
