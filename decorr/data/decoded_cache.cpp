#include "decorr/data/decoded_cache.h"

#include "decorr/core/check.h"
#include "decorr/data/source.h"
#include "decorr/io/safetensors.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include <cstdio>
#include <string_view>
#include <sys/stat.h>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;

// FNV-1a.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) {
      value_ ^= static_cast<unsigned char>(c);
      value_ *= 0x100000001B3ULL;
    }
  }
  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325ULL;
};

// A file that cannot be looked at counts as one of size -1: reading it says what is wrong.
void add_files(Hash& hash, const ImageTree& tree, const std::vector<LabelledFile>& files) {
  for (const LabelledFile& file : files) {
    struct stat status {};
    const bool there = ::stat((tree.root / file.path).c_str(), &status) == 0;
    hash.add(fmt::format("{}\n{} {} {}.{}\n", file.path, file.label,
                         there ? static_cast<std::int64_t>(status.st_size) : -1,
                         static_cast<std::int64_t>(status.st_mtim.tv_sec),
                         static_cast<std::int64_t>(status.st_mtim.tv_nsec)));
  }
}

std::string checksum(const DecodedImages& decoded) {
  uLong value = 0;
  for (const at::Tensor& tensor : {decoded.images, decoded.labels})
    value = crc32_z(value, static_cast<const Bytef*>(tensor.data_ptr()), tensor.nbytes());
  return fmt::format("{:08x}", value);
}

void note(const std::string& text) { fmt::print(stderr, "decorr: note: {}\n", text); }

}  // namespace

DecodedCache::DecodedCache(const ImageTree& tree, const std::string& split,
                           std::int64_t image_size) {
  Hash place;
  std::error_code error;
  place.add(fs::weakly_canonical(tree.root, error).string());
  const fs::path folder = data_folder();
  if (!folder.empty())
    path_ = folder / "decoded" /
            fmt::format("{}-{}-{}-{}.safetensors", tree.name, split, image_size, place.text());
  Hash hash;
  hash.add(fmt::format("{} {} {}\n", kFormatVersion, split, image_size));
  add_files(hash, tree, tree.train);
  hash.add("test\n");
  add_files(hash, tree, tree.test);
  fingerprint_ = hash.text();
}

std::optional<DecodedImages> DecodedCache::read() const {
  std::error_code error;
  if (path_.empty() || !fs::exists(path_, error)) return std::nullopt;
  try {
    io::Metadata metadata;
    io::NamedTensors tensors = io::read_safetensors(path_, &metadata);
    if (metadata["fingerprint"] != fingerprint_) {
      note(fmt::format("the decoded images in {} are out of date, decoding again", path_.string()));
      return std::nullopt;
    }
    DecodedImages decoded{tensors["images"], tensors["labels"], {}};
    check_runtime(decoded.images.defined() && decoded.labels.defined() &&
                      decoded.images.scalar_type() == at::kByte && decoded.images.dim() == 4 &&
                      decoded.labels.scalar_type() == at::kLong && decoded.labels.dim() == 1 &&
                      decoded.images.size(0) == decoded.labels.size(0),
                  "it does not hold images and labels");
    check_runtime(checksum(decoded) == metadata["crc32"], "its checksum is wrong");
    decoded.skipped = nlohmann::json::parse(metadata["skipped"]).get<std::vector<std::string>>();
    return decoded;
  } catch (const std::exception& failure) {
    note(fmt::format("the decoded images in {} are damaged ({}), decoding again", path_.string(),
                     failure.what()));
  }
  return std::nullopt;
}

void DecodedCache::write(const DecodedImages& decoded) const {
  try {
    check_runtime(!path_.empty(), "HOME and DECORR_DATA are not set");
    fs::create_directories(path_.parent_path());
    io::remove_temporaries(path_.parent_path());
    // Paths are bytes and JSON is UTF-8: what is not becomes a question mark, for the note alone.
    const std::string skipped = nlohmann::json(decoded.skipped)
                                    .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    io::write_safetensors(
        path_, {{"images", decoded.images}, {"labels", decoded.labels}},
        {{"crc32", checksum(decoded)}, {"fingerprint", fingerprint_}, {"skipped", skipped}});
  } catch (const std::exception& error) {
    note(fmt::format("the decoded images are not kept for the next time: {}", error.what()));
  }
}

}  // namespace decorr::data
