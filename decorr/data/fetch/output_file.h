#pragma once

#include <filesystem>
#include <string_view>

namespace decorr::data {

/// A file that grows by pieces. Every failure is a `std::runtime_error` with the path, the reason
/// and how to mend it.
class OutputFile {
 public:
  enum class Mode { kNew, kAppend };

  /// kNew: there must be nothing of that name yet (links included). kAppend: goes on at the end of
  /// what is there.
  OutputFile(std::filesystem::path path, Mode mode);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes);

  /// Flushes to the disk.
  void sync();

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Flushes the file system that holds `folder`.
void sync_file_system(const std::filesystem::path& folder);

/// Flushes the names in `folder`.
void sync_folder(const std::filesystem::path& folder);

}  // namespace decorr::data
