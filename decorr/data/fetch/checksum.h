#pragma once

#include "decorr/data/fetch/events.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace decorr::data {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const void* bytes, std::size_t size);

  /// The sum of all bytes so far as 64 lower-case hexadecimal digits. Call it once, at the end.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether `text` is 64 lower-case hexadecimal digits.
bool is_sha256(const std::string& text);

/// Sha256 of the file at `path`, reported as progress of `check NAME`. Throws `std::runtime_error`
/// if it cannot be read, FetchStopped.
std::string sha256_of(const std::filesystem::path& path, const FetchEvents& events = {});

}  // namespace decorr::data
