#include "decorr/data/fetch/archive.h"

#include "decorr/core/check.h"
#include "decorr/data/fetch/checksum.h"
#include "decorr/data/fetch/disk_space.h"
#include "decorr/data/fetch/output_file.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <memory>
#include <string_view>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = std::size_t{1} << 18;

struct UnpackCloser {
  void operator()(::archive* reader) const { archive_read_free(reader); }
};
using UnpackReader = std::unique_ptr<::archive, UnpackCloser>;

// An archive opened for reading; null if libarchive does not take it, with the reason.
UnpackReader open_archive(const fs::path& path, std::string& reason) {
  UnpackReader reader(archive_read_new());
  check_runtime(reader != nullptr, "[fetch] libarchive has no memory; free some");
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_zip(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), kBlock) == ARCHIVE_OK) return reader;
  reason = archive_error_string(reader.get());
  return nullptr;
}

class Unpacking {
 public:
  Unpacking(const fs::path& archive, const fs::path& folder, const UnpackLimits& limits,
            const FetchEvents& events)
      : archive_(archive), folder_(folder), top_(limits.top_folder), events_(events) {
    const std::uint64_t free = free_bytes(folder);
    // What the disk has free is no fault of the archive.
    disk_bounds_ = limits.max_bytes == 0 || free < limits.max_bytes;
    budget_ = disk_bounds_ ? free : limits.max_bytes;
    total_ = fs::file_size(archive);
  }

  std::vector<FileSum> run() {
    std::string reason;
    reader_ = open_archive(archive_, reason);
    if (reader_ == nullptr) refuse("is no archive that can be read", reason);
    for (;;) {
      archive_entry* entry = nullptr;
      const int code = archive_read_next_header(reader_.get(), &entry);
      if (code == ARCHIVE_EOF) break;
      // A warning is about what is not used here, like an owner; the data's own are errors.
      if (code < ARCHIVE_WARN) refuse("is damaged", error());
      take(entry);
    }
    if (sums_.empty()) refuse("has no files", "it is empty");
    return std::move(sums_);
  }

 private:
  std::string error() const {
    const char* text = archive_error_string(reader_.get());
    return text == nullptr ? "no reason given" : text;
  }

  [[noreturn]] void refuse(const std::string& what, const std::string& reason) const {
    throw BadContent(fmt::format("[fetch] {} {} ({}); fetch it again or from another place",
                                 archive_.string(), what, reason));
  }

  // Where the member goes, relative to the folder; empty for the folder itself.
  fs::path place_of(std::string_view name) const {
    const auto control = [](unsigned char letter) { return letter < ' ' || letter == 127; };
    const fs::path path(name);
    const bool harmless = !name.empty() && path.is_relative() &&
                          name.find('\\') == std::string_view::npos &&
                          std::none_of(name.begin(), name.end(), control) &&
                          std::find(path.begin(), path.end(), "..") == path.end();
    if (!harmless) refuse("is refused", fmt::format("unsafe name '{}'", printable(name)));
    fs::path place;
    for (const fs::path& part : path)
      if (!part.empty() && part != ".") place /= part;
    if (!top_.empty() && !place.empty() && *place.begin() == top_)
      place = place.lexically_relative(top_);
    return place == "." ? fs::path() : place;
  }

  static std::string printable(std::string_view name) {
    std::string text(name.substr(0, 200));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char letter) { return letter < ' '; }, '?');
    return text;
  }

  void take(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) refuse("is refused", "a name that cannot be read");
    const fs::path place = place_of(name);
    const bool link = archive_entry_hardlink(entry) != nullptr;
    const auto type = archive_entry_filetype(entry);
    if (type == AE_IFDIR && !link) {
      make_folder(folder_ / place);
    } else if (type == AE_IFREG && !link && !place.empty()) {
      make_folder((folder_ / place).parent_path());
      write(entry, place);
    } else {
      refuse("is refused", fmt::format("'{}' is neither a file nor a folder", printable(name)));
    }
  }

  void make_folder(const fs::path& path) const {
    std::error_code error;
    fs::create_directories(path, error);
    if (fs::is_directory(path, error)) return;
    if (fs::exists(path, error))
      refuse("is refused", fmt::format("'{}' is a file and a folder", path.filename().string()));
    throw std::runtime_error(
        fmt::format("[fetch] cannot make the folder {}: {}; free space or give another folder with "
                    "--to",
                    path.string(), error.message()));
  }

  void write(archive_entry* entry, const fs::path& place) {
    if (archive_entry_size_is_set(entry) != 0)
      check_budget(static_cast<std::uint64_t>(std::max<la_int64_t>(0, archive_entry_size(entry))));
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(folder_ / place, ignored)))
      refuse("is refused", fmt::format("'{}' is there twice", place.string()));
    OutputFile file(folder_ / place, OutputFile::Mode::kNew);
    Sha256 sum;
    for (;;) {
      const void* bytes = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int code = archive_read_data_block(reader_.get(), &bytes, &size, &offset);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK) refuse("is damaged", error());
      if (offset != sum_offset_) refuse("is refused", "a sparse file");
      check_budget(size);
      file.write({static_cast<const char*>(bytes), size});
      sum.update(bytes, size);
      sum_offset_ += static_cast<la_int64_t>(size);
      used_ += size;
      const auto read = static_cast<std::uint64_t>(archive_filter_bytes(reader_.get(), -1));
      events_.progress("unpack " + archive_.filename().string(), read, total_);
    }
    sum_offset_ = 0;
    sums_.push_back({place.generic_string(), sum.hex()});
  }

  void check_budget(std::uint64_t more) const {
    if (more <= budget_ - used_) return;
    if (!disk_bounds_)
      refuse("is refused", fmt::format("it unpacks to more than {}", format_bytes(budget_)));
    throw std::runtime_error(
        fmt::format("[fetch] not enough space to unpack {}: the disk of {} had {} free; free space "
                    "or give another folder with --to",
                    archive_.string(), folder_.string(), format_bytes(budget_)));
  }

  const fs::path& archive_;
  const fs::path& folder_;
  const fs::path top_;
  const FetchEvents& events_;
  UnpackReader reader_;
  bool disk_bounds_;
  std::uint64_t budget_, used_ = 0;  // bytes unpacked
  std::uint64_t total_;              // bytes of the archive
  la_int64_t sum_offset_ = 0;
  std::vector<FileSum> sums_;
};

}  // namespace

std::vector<FileSum> unpack(const fs::path& archive, const fs::path& folder,
                            const UnpackLimits& limits, const FetchEvents& events) {
  return Unpacking(archive, folder, limits, events).run();
}

std::string first_member(const fs::path& archive) {
  std::string ignored;
  const UnpackReader reader = open_archive(archive, ignored);
  archive_entry* entry = nullptr;
  if (reader == nullptr || archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) return "";
  const char* name = archive_entry_pathname(entry);
  return name == nullptr ? "" : name;
}

}  // namespace decorr::data
