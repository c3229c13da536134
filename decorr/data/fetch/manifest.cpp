#include "decorr/data/fetch/manifest.h"

#include "decorr/core/check.h"
#include "decorr/data/fetch/checksum.h"
#include "decorr/data/fetch/output_file.h"
#include "decorr/io/atomic_file.h"

#include <sstream>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSumDigits = 64;

}  // namespace

void write_manifest(const fs::path& folder, const std::vector<FileSum>& sums) {
  std::string lines;
  for (const FileSum& sum : sums) lines += fmt::format("{}  {}\n", sum.sha256, sum.path);
  OutputFile(folder / kManifest, OutputFile::Mode::kNew).write(lines);
}

std::string missing_files(const FetchSource& source, const fs::path& folder) {
  for (const RequiredFile& file : source.required) {
    std::error_code ignored;
    const fs::path path = folder / file.path;
    if (!fs::is_regular_file(path, ignored)) return fmt::format("it lacks {}", file.path);
    const std::uintmax_t bytes = fs::file_size(path, ignored);
    if (file.bytes != 0 && bytes != file.bytes)
      return fmt::format("{} has {} bytes, not {}", file.path, bytes, file.bytes);
  }
  return "";
}

Wholeness check_folder(const FetchSource& source, const fs::path& folder,
                       const FetchEvents& events) {
  std::error_code ignored;
  const bool listed = fs::is_regular_file(folder / kManifest, ignored);
  // The lengths are of the official files; a list may be of a mirror's other files.
  if (!listed) return {missing_files(source, folder), source.required.size()};
  std::istringstream lines(io::read_file(folder / kManifest));
  Wholeness result;
  for (std::string line; std::getline(lines, line); ++result.files) {
    if (line.size() < kSumDigits + 3 || !is_sha256(line.substr(0, kSumDigits)))
      return {fmt::format("line {} of {} is no sum and name", result.files + 1, kManifest), 0};
    const std::string name = line.substr(kSumDigits + 2);
    if (!fs::is_regular_file(folder / name, ignored)) return {fmt::format("it lacks {}", name), 0};
    if (sha256_of(folder / name, events) != line.substr(0, kSumDigits))
      return {fmt::format("{} is not what was fetched", name), 0};
  }
  if (result.files == 0) result.obstacle = fmt::format("{} is empty", kManifest);
  return result;
}

}  // namespace decorr::data
