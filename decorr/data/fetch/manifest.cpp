#include "decorr/data/fetch/manifest.h"

#include "decorr/core/check.h"
#include "decorr/data/fetch/checksum.h"
#include "decorr/data/fetch/output_file.h"
#include "decorr/data/source.h"
#include "decorr/io/atomic_file.h"

#include <map>
#include <sstream>
#include <utility>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSumDigits = 64;

// What is wrong with the length of the file `name`; empty if nothing is, or it is not there.
std::string wrong_length(const fs::path& folder, const std::string& name, std::uint64_t expected) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(folder / name, error);
  if (error || expected == 0 || bytes == expected) return "";
  return fmt::format("{} has {} bytes, not {}", name, bytes, expected);
}

bool is_folder(const RequiredFile& file) { return file.path.back() == '/'; }

bool is_there(const fs::path& folder, const RequiredFile& file) {
  std::error_code ignored;
  const fs::path path = folder / file.path;
  if (!is_folder(file)) return fs::is_regular_file(path, ignored);
  return fs::is_directory(path, ignored) && !fs::is_empty(path, ignored);
}

// Sums by the names of the files.
using List = std::map<std::string, std::string>;

// What `list` lacks to be that of `source`.
std::string foreign(const List& list, const FetchSource& source) {
  for (const RequiredFile& file : source.required) {
    // In sorted order the files of a folder are next to its name.
    const auto found = list.lower_bound(file.path);
    const bool listed =
        found != list.end() &&
        (is_folder(file) ? found->first.rfind(file.path, 0) == 0 : found->first == file.path);
    if (!listed) return fmt::format("{} does not list {}", kManifest, file.path);
  }
  if (source.unpack) return "";
  for (const RemoteFile& file : source.files)
    if (list.at(file.name) != file.sha256)
      return fmt::format("{} is not that of {}", file.name, source.name);
  return "";
}

Wholeness check_list(const FetchSource& source, const fs::path& folder, const FetchEvents& events) {
  std::istringstream lines(io::read_file(folder / kManifest));
  List list;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.size() < kSumDigits + 3 || !is_sha256(line.substr(0, kSumDigits)))
      return {fmt::format("line {} of {} is no sum and name", number, kManifest), 0};
    list[line.substr(kSumDigits + 2)] = line.substr(0, kSumDigits);
  }
  if (list.empty()) return {fmt::format("{} is empty", kManifest), 0};
  if (std::string obstacle = foreign(list, source); !obstacle.empty())
    return {std::move(obstacle), 0};
  for (const auto& [name, sum] : list) {
    std::error_code ignored;
    if (!fs::is_regular_file(folder / name, ignored)) return {fmt::format("it lacks {}", name), 0};
    if (sha256_of(folder / name, events) != sum)
      return {fmt::format("{} is not what was fetched", name), 0};
  }
  return {"", list.size()};
}

// In `place` load() would read the data set, by the names of what is there.
Wholeness check_lengths(const FetchSource& source, const fs::path& place) {
  std::string obstacle;
  for (const RequiredFile& file : source.required)
    if (obstacle.empty()) obstacle = wrong_length(place, file.path, file.bytes);
  for (const RemoteFile& file : source.files)
    if (obstacle.empty()) obstacle = wrong_length(place, file.name, file.bytes);
  return {std::move(obstacle), 0};
}

}  // namespace

void write_manifest(const fs::path& folder, const std::vector<FileSum>& sums) {
  std::string lines;
  for (const FileSum& sum : sums) lines += fmt::format("{}  {}\n", sum.sha256, sum.path);
  OutputFile(folder / kManifest, OutputFile::Mode::kNew).write(lines);
}

std::string missing_files(const FetchSource& source, const fs::path& folder) {
  for (const RequiredFile& file : source.required) {
    if (!is_there(folder, file)) return fmt::format("it lacks {}", file.path);
    if (std::string wrong = wrong_length(folder, file.path, file.bytes); !wrong.empty())
      return wrong;
  }
  return "";
}

Wholeness check_folder(const FetchSource& source, const fs::path& folder,
                       const FetchEvents& events) {
  std::error_code ignored;
  // The lengths are of the official files; a list may be of a mirror's other files.
  if (fs::is_regular_file(folder / kManifest, ignored)) return check_list(source, folder, events);
  std::string missing = missing_files(source, folder);
  if (missing.empty()) return {"", source.required.size()};
  const fs::path place = readable_place(source.name, folder);
  if (place.empty()) return {std::move(missing), 0};
  return check_lengths(source, place);
}

}  // namespace decorr::data
