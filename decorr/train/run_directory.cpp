#include "decorr/train/run_directory.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"

#include <sstream>
#include <system_error>

namespace decorr::train {
namespace {

Config without_what_may_change(Config config) {
  const TrainConfig defaults;
  config.train.epochs = defaults.epochs;
  config.train.keep = defaults.keep;
  config.train.checkpoint_every = defaults.checkpoint_every;
  config.train.early_stopping = defaults.early_stopping;
  return config;
}

}  // namespace

void RunDirectory::check(const Config& config, bool resume) const {
  if (!std::filesystem::exists(path_)) return;
  check_argument(std::filesystem::is_directory(path_), "not a folder, {}, choose another --out",
                 path_.string());
  if (holds_nothing(path_)) return;
  check_argument(resume,
                 "run directory exists and is not empty, {}, add --resume to go on with it or "
                 "choose another --out",
                 path_.string());
  const std::string old_text = to_toml(without_what_may_change(load_run_config(path_)));
  const std::string new_text = to_toml(without_what_may_change(config));
  check_argument(old_text == new_text,
                 "the run has another configuration, {}, {}: resume with the same one (only "
                 "train.epochs, keep, checkpoint_every and early_stopping may change)",
                 path_.string(), first_difference(old_text, new_text));
}

void RunDirectory::open(const Config& config) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  check_runtime(!error, "cannot create the run directory, {}, {}", path_.string(), error.message());
  check_runtime(lock_.take(path_),
                "the run is in use by another process, {}, wait for it or choose another --out",
                path_.string());
  io::remove_temporaries(path_);  // what killed processes left half-written
  io::write_file_atomically(this->config(), to_toml(config));
}

bool RunDirectory::in_use() const { return io::FolderLock::held(path_); }

Config load_run_config(const std::filesystem::path& path) {
  const std::filesystem::path file = path / "config.toml";
  check_argument(
      std::filesystem::exists(file),
      "not a run directory, {}, it has no config.toml: give the folder that decorr train "
      "wrote",
      path.string());
  return load_config(file.string());
}

bool holds_nothing(const std::filesystem::path& path) {
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name != io::FolderLock::kName && name.find(io::kTemporarySuffix) == std::string::npos)
      return false;
  }
  return true;
}

std::string first_difference(const std::string& old_text, const std::string& new_text) {
  std::istringstream old_lines(old_text), new_lines(new_text);
  std::string old_line, new_line;
  while (old_line == new_line) {
    if (!std::getline(old_lines, old_line)) old_line = "(nothing)";
    if (!std::getline(new_lines, new_line)) new_line = "(nothing)";
    if (old_lines.fail() && new_lines.fail()) break;
  }
  return fmt::format("it has `{}`, asked for is `{}`", old_line, new_line);
}

}  // namespace decorr::train
