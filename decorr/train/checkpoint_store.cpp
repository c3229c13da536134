#include "decorr/train/checkpoint_store.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"
#include "decorr/train/checkpoint_record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace decorr::train {
namespace {

namespace fs = std::filesystem;
using detail::Digest;
using detail::file_name;
using detail::kFormatVersion;
using detail::kOtherTensorsSuffix;
using detail::kStateSuffix;
using detail::kTensorsSuffix;
using detail::Record;
using nlohmann::json;

constexpr const char* kBestFile = "best.json";

// The step that a file belongs to, if its name is one that file_name() makes with this suffix.
std::optional<std::int64_t> step_of(const std::string& name, std::string_view suffix) {
  constexpr std::string_view kPrefix = "step-";
  if (name.size() <= kPrefix.size() + suffix.size()) return std::nullopt;
  std::int64_t step = -1;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size() - suffix.size(), step);
  if (step < 0 || name != file_name(step, suffix)) return std::nullopt;
  return step;
}

// Names of what is in a folder.
std::vector<std::string> list(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::exists(folder, error) && !error) return names;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    names.push_back(entry->path().filename().string());
  check_runtime(!error, "cannot read the checkpoints in {}: {}; check the folder's permissions",
                folder.string(), error.message());
  return names;
}

// Removes a file if it is there.
void delete_file(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  check_runtime(!error, "cannot delete {}: {}; check the permissions of its folder", path.string(),
                error.message());
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path folder, std::int64_t keep)
    : folder_(std::move(folder)), keep_(keep) {
  check_argument(keep >= 1, "[CheckpointStore] keep must be at least 1 checkpoint, got {}", keep);
}

void CheckpointStore::save(std::int64_t step, const Checkpoint& checkpoint) {
  check_argument(step >= 0, "[CheckpointStore] step must be 0 or more, got {}", step);
  detail::check_state(checkpoint.state);
  const auto best_before = best();
  std::error_code error;
  fs::create_directories(folder_, error);
  check_runtime(!error, "cannot create the folder {}: {}; choose another --out", folder_.string(),
                error.message());
  sweep();

  Record record{choose_tensors_file(step, checkpoint), {}, checkpoint.state};
  io::write_file_atomically(path_of(record.tensors_file), [&](const io::AppendBytes& append) {
    io::append_safetensors(checkpoint.tensors, {}, [&](std::string_view bytes) {
      record.tensors.add(bytes);
      append(bytes);
    });
  });
  const fs::path record_path = path_of(file_name(step, kStateSuffix));
  try {
    io::write_file_atomically(record_path, detail::record_text(step, record));
  } catch (...) {
    // Tensors without a JSON are of no use. With one (of this step's earlier checkpoint, or the new
    // one if only the last flush failed) they may be.
    if (!fs::exists(record_path, error)) fs::remove(path_of(record.tensors_file), error);
    throw;
  }
  for (const auto suffix : {kTensorsSuffix, kOtherTensorsSuffix})
    if (file_name(step, suffix) != record.tensors_file)
      delete_file(path_of(file_name(step, suffix)));
  retire(step, best_before);
}

std::string CheckpointStore::choose_tensors_file(std::int64_t step,
                                                 const Checkpoint& checkpoint) const {
  const std::string usual = file_name(step, kTensorsSuffix);
  const fs::path record_path = path_of(file_name(step, kStateSuffix));
  std::error_code error;
  if (!fs::exists(record_path, error)) return usual;
  Record record;
  try {
    record = detail::read_record(record_path, step, "");
  } catch (const std::runtime_error&) {
    return usual;  // nothing readable to protect
  }
  Digest digest;
  io::append_safetensors(checkpoint.tensors, {},
                         [&](std::string_view bytes) { digest.add(bytes); });
  if (digest == record.tensors) return record.tensors_file;  // replaced by its equal
  return record.tensors_file == usual ? file_name(step, kOtherTensorsSuffix) : usual;
}

Checkpoint CheckpointStore::load(std::int64_t step) const {
  const fs::path record_path = path_of(file_name(step, kStateSuffix));
  std::error_code error;
  check_runtime(fs::exists(record_path, error),
                "there is no checkpoint of step {} in {}; choose one of the steps {}", step,
                folder_.string(), steps());
  const std::string mend = how_to_go_on(step);
  const Record record = detail::read_record(record_path, step, mend);

  const fs::path tensors_path = path_of(record.tensors_file);
  check_runtime(fs::exists(tensors_path, error), "{} is missing; {}", tensors_path.string(), mend);
  const std::string bytes = io::read_file(tensors_path);
  check_runtime(bytes.size() == record.tensors.bytes, "{} is damaged: it has {} bytes, not {}; {}",
                tensors_path.string(), bytes.size(), record.tensors.bytes, mend);
  check_runtime(detail::digest_of(bytes) == record.tensors,
                "{} is damaged: it has another CRC-32 than was saved; {}", tensors_path.string(),
                mend);
  return {io::parse_safetensors(bytes, tensors_path.string()), record.state};
}

std::string CheckpointStore::how_to_go_on(std::int64_t step) const {
  const std::string file = path_of(file_name(step, kStateSuffix)).string();
  const auto all = steps();
  const auto here = std::lower_bound(all.begin(), all.end(), step);
  if (here == all.begin())
    return fmt::format("delete {} (there is none before it: the run starts anew)", file);
  return fmt::format("delete {} to resume from the one before (step {})", file, *(here - 1));
}

std::vector<std::int64_t> CheckpointStore::steps() const {
  std::vector<std::int64_t> result;
  for (const auto& name : list(folder_))
    if (const auto step = step_of(name, kStateSuffix)) result.push_back(*step);
  std::sort(result.begin(), result.end());
  return result;
}

std::optional<std::int64_t> CheckpointStore::latest() const {
  const auto all = steps();
  if (all.empty()) return std::nullopt;
  return all.back();
}

void CheckpointStore::mark_best(std::int64_t step, double value) {
  const auto all = steps();
  check_argument(std::binary_search(all.begin(), all.end(), step),
                 "[CheckpointStore] the best checkpoint must be one of steps {}, got {}", all,
                 step);
  check_argument(std::isfinite(value), "[CheckpointStore] the best value must be finite, got {}",
                 value);
  const json document = {{"format_version", kFormatVersion}, {"step", step}, {"value", value}};
  io::write_file_atomically(path_of(kBestFile), document.dump(2) + "\n");
}

std::optional<CheckpointStore::Best> CheckpointStore::best() const {
  const fs::path path = path_of(kBestFile);
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  const std::string mend =
      fmt::format("delete {} to go on without a best checkpoint", path.string());
  const json document = detail::read_document(path, mend);
  const bool whole = document.contains("step") && document["step"].is_number_integer() &&
                     document.contains("value") && document["value"].is_number();
  check_runtime(whole, "{} is damaged: it has no step and value; {}", path.string(), mend);
  const Best best{document["step"].get<std::int64_t>(), document["value"].get<double>()};
  if (!fs::exists(path_of(file_name(best.step, kStateSuffix)), error)) return std::nullopt;
  return best;
}

void CheckpointStore::sweep() const {
  io::remove_temporaries(folder_);
  const auto all = steps();
  for (const auto& name : list(folder_))
    for (const auto suffix : {kTensorsSuffix, kOtherTensorsSuffix})
      if (const auto step = step_of(name, suffix))
        if (!std::binary_search(all.begin(), all.end(), *step)) delete_file(path_of(name));
}

void CheckpointStore::retire(std::int64_t saved, std::optional<Best> best) const {
  const auto all = steps();
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep_) < all.size(); ++i) {
    if (all[i] == saved || (best && all[i] == best->step)) continue;
    for (const auto suffix : {kStateSuffix, kTensorsSuffix, kOtherTensorsSuffix})
      delete_file(path_of(file_name(all[i], suffix)));
  }
}

}  // namespace decorr::train
