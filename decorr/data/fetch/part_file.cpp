#include "decorr/data/fetch/part_file.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"

#include <nlohmann/json.hpp>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path with_suffix(fs::path path, const char* suffix) {
  path += suffix;
  return path;
}

// The record of a download; null if there is none that can be read.
json read_record(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return nullptr;
  const json record = json::parse(io::read_file(path), nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* key) {
    return record.contains(key) && record[key].is_string();
  };
  return record.is_object() && text("url") && text("validator") ? record : nullptr;
}

}  // namespace

PartFile::PartFile(const fs::path& path)
    : path_(path), part_(with_suffix(path, ".part")), record_(with_suffix(path, ".part.json")) {}

std::uint64_t PartFile::size() const {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(part_, error);
  return error || read_record(record_).is_null() ? 0 : bytes;
}

std::string PartFile::validator(const std::string& url) const {
  const json record = read_record(record_);
  return record.is_null() || record["url"] != url ? "" : record["validator"].get<std::string>();
}

void PartFile::restart(const std::string& url, const std::string& validator) {
  // First the bytes go, then the record changes: a kill in between leaves nothing to go on with.
  remove();
  const json record = {{"url", url}, {"validator", validator}};
  io::write_file_atomically(record_,
                            record.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

void PartFile::append(std::string_view bytes) {
  if (file_ == nullptr) file_ = std::make_unique<OutputFile>(part_, OutputFile::Mode::kAppend);
  file_->write(bytes);
}

void PartFile::publish() {
  append("");
  file_->sync();
  file_.reset();
  fs::rename(part_, path_);
  fs::remove(record_);
}

void PartFile::remove() {
  file_.reset();
  fs::remove(part_);
  fs::remove(record_);
}

}  // namespace decorr::data
