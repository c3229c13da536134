#include "decorr/data/archive.h"

#include "decorr/core/check.h"
#include "decorr/data/gzip_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <exception>
#include <memory>
#include <vector>

namespace decorr::data {
namespace {

struct ArchiveCloser {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using ArchiveReader = std::unique_ptr<archive, ArchiveCloser>;

// Feeds libarchive what zlib has decompressed: libarchive itself does not compare gzip's checksum.
struct Feed {
  explicit Feed(const std::string& path) : file("read_tar", path) {}

  GzipFile file;
  std::vector<std::uint8_t> chunk = std::vector<std::uint8_t>(std::size_t{1} << 20);
  std::exception_ptr error;
};

la_ssize_t feed(archive* reader, void* data, const void** bytes) {
  auto& source = *static_cast<Feed*>(data);
  *bytes = source.chunk.data();
  try {
    return static_cast<la_ssize_t>(source.file.read(source.chunk.data(), source.chunk.size()));
  } catch (const std::exception& error) {
    source.error = std::current_exception();
    archive_set_error(reader, ARCHIVE_FATAL, "%s", error.what());
    return -1;
  }
}

[[noreturn]] void refuse_archive(archive* reader, const std::string& path,
                                 const std::string& kind) {
  const char* reason = archive_error_string(reader);
  throw std::runtime_error(
      fmt::format("[read_{}] cannot read {} ({}); give a whole {} archive, or "
                  "download it again",
                  kind, path, reason == nullptr ? "it is damaged" : reason, kind));
}

std::string contents(archive* reader, const std::string& path, const std::string& kind) {
  std::string bytes;
  std::array<char, 1 << 16> chunk{};
  for (;;) {
    const la_ssize_t got = archive_read_data(reader, chunk.data(), chunk.size());
    if (got < 0) refuse_archive(reader, path, kind);
    if (got == 0) return bytes;
    bytes.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

std::map<std::string, std::string> members(archive* reader, const std::string& path,
                                           const std::string& kind, const Wanted& wanted) {
  std::map<std::string, std::string> files;
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(reader, &entry);
    if (code == ARCHIVE_EOF) return files;
    if (code < ARCHIVE_WARN) refuse_archive(reader, path, kind);
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr || archive_entry_filetype(entry) != AE_IFREG || !wanted(name)) continue;
    std::string key = name;
    files[key] = contents(reader, path, kind);
  }
}

}  // namespace

std::map<std::string, std::string> read_tar(const std::string& path, const Wanted& wanted) {
  Feed source(path);
  const ArchiveReader reader(archive_read_new());
  check_runtime(reader != nullptr, "[read_tar] out of memory; free some");
  archive_read_support_format_tar(reader.get());
  std::map<std::string, std::string> files;
  try {
    if (archive_read_open(reader.get(), &source, nullptr, feed, nullptr) != ARCHIVE_OK)
      refuse_archive(reader.get(), path, "tar");
    files = members(reader.get(), path, "tar", wanted);
  } catch (const std::runtime_error&) {
    if (source.error) std::rethrow_exception(source.error);
    throw;
  }
  while (source.file.read(source.chunk.data(), source.chunk.size()) > 0) continue;
  return files;
}

std::map<std::string, std::string> read_zip(const std::string& path, const Wanted& wanted) {
  constexpr std::size_t kBlock = 1 << 16;
  const ArchiveReader reader(archive_read_new());
  check_runtime(reader != nullptr, "[read_zip] out of memory; free some");
  archive_read_support_format_zip(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), kBlock) != ARCHIVE_OK)
    refuse_archive(reader.get(), path, "zip");
  return members(reader.get(), path, "zip", wanted);
}

}  // namespace decorr::data
