#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

// The JSON half of a checkpoint, for CheckpointStore (not installed).
namespace decorr::train::detail {

inline constexpr std::int64_t kFormatVersion = 1;
inline constexpr std::string_view kStateSuffix = ".json";
inline constexpr std::string_view kTensorsSuffix = ".safetensors";
/// The tensors that replace those of a step that exists go to the one of the two names not in use.
inline constexpr std::string_view kOtherTensorsSuffix = ".1.safetensors";

/// `step-0000001200` and the suffix.
std::string file_name(std::int64_t step, std::string_view suffix);

/// Size and CRC-32 of bytes that come in pieces.
struct Digest {
  std::uint64_t bytes = 0;
  std::uint64_t crc32 = 0;

  void add(std::string_view piece);
  bool operator==(const Digest& other) const;
};

Digest digest_of(std::string_view bytes);

/// What a checkpoint's JSON says.
struct Record {
  std::string tensors_file;
  Digest tensors;
  nlohmann::json state;
};

/// Throws `std::invalid_argument` unless JSON text can hold `state` exactly.
void check_state(const nlohmann::json& state);

/// The JSON file of a checkpoint.
std::string record_text(std::int64_t step, const Record& record);

/// The JSON object in a file that this or an older decorr wrote. Throws `std::runtime_error` naming
/// the file and ending with `mend`, what the user can do about it.
nlohmann::json read_document(const std::filesystem::path& path, const std::string& mend);

/// Reads the JSON of the checkpoint of `step` back; throws as read_document() does.
Record read_record(const std::filesystem::path& path, std::int64_t step, const std::string& mend);

}  // namespace decorr::train::detail
