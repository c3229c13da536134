#include "decorr/train/checkpoint_record.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"

#include <zlib.h>

namespace decorr::train::detail {

namespace fs = std::filesystem;
using nlohmann::json;

std::string file_name(std::int64_t step, std::string_view suffix) {
  return fmt::format("step-{:010d}{}", step, suffix);
}

void Digest::add(std::string_view piece) {
  bytes += piece.size();
  crc32 = ::crc32_z(crc32, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
}

bool Digest::operator==(const Digest& other) const {
  return bytes == other.bytes && crc32 == other.crc32;
}

Digest digest_of(std::string_view bytes) {
  Digest digest;
  digest.add(bytes);
  return digest;
}

void check_state(const json& state) {
  bool faithful = false;
  try {
    faithful = json::parse(state.dump()) == state;
  } catch (const json::exception&) {
    faithful = false;
  }
  check_argument(faithful,
                 "[CheckpointStore] the state must be JSON: finite numbers, UTF-8 text, no binary");
}

std::string record_text(std::int64_t step, const Record& record) {
  const json document = {{"format_version", kFormatVersion},
                         {"step", step},
                         {"tensors_file", record.tensors_file},
                         {"tensors_bytes", record.tensors.bytes},
                         {"tensors_crc32", record.tensors.crc32},
                         {"state_crc32", digest_of(record.state.dump()).crc32},
                         {"state", record.state}};
  return document.dump(2) + "\n";
}

json read_document(const fs::path& path, const std::string& mend) {
  json document;
  try {
    document = json::parse(io::read_file(path));
  } catch (const json::exception&) {
    throw std::runtime_error(
        fmt::format("{} is cut off or damaged: it is not JSON; {}", path.string(), mend));
  }
  const bool known = document.is_object() && document.contains("format_version") &&
                     document["format_version"].is_number_integer();
  check_runtime(known, "{} was not made by decorr: it has no format_version; {}", path.string(),
                mend);
  const auto version = document["format_version"].get<std::int64_t>();
  check_runtime(version <= kFormatVersion,
                "{} was made by a newer decorr (format {}, this one reads up to {}): update decorr",
                path.string(), version, kFormatVersion);
  check_runtime(version >= 1, "{} is damaged: format_version {}; {}", path.string(), version, mend);
  return document;
}

Record read_record(const fs::path& path, std::int64_t step, const std::string& mend) {
  const json document = read_document(path, mend);
  Record record;
  try {
    check_runtime(document.at("step") == step, "{} is not of step {}; {}", path.string(), step,
                  mend);
    for (const char* key : {"tensors_bytes", "tensors_crc32", "state_crc32"})
      check_runtime(document.at(key).is_number_unsigned(), "{} is damaged: {} is {}; {}",
                    path.string(), key, document.at(key).dump(), mend);
    record.tensors_file = document.at("tensors_file").get<std::string>();
    record.tensors.bytes = document.at("tensors_bytes").get<std::uint64_t>();
    record.tensors.crc32 = document.at("tensors_crc32").get<std::uint64_t>();
    record.state = document.at("state");
    check_runtime(document.at("state_crc32") == digest_of(record.state.dump()).crc32,
                  "{} is damaged: its state has another CRC-32 than was saved; {}", path.string(),
                  mend);
  } catch (const json::exception& error) {
    throw std::runtime_error(
        fmt::format("{} is damaged ({}); {}", path.string(), error.what(), mend));
  }
  check_runtime(record.tensors_file == file_name(step, kTensorsSuffix) ||
                    record.tensors_file == file_name(step, kOtherTensorsSuffix),
                "{} is damaged: it names \"{}\" as its tensors; {}", path.string(),
                record.tensors_file, mend);
  return record;
}

}  // namespace decorr::train::detail
