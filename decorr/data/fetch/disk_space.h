#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace decorr::data {

/// Bytes that the file system of `folder` has free for this user. Throws `std::runtime_error`.
std::uint64_t free_bytes(const std::filesystem::path& folder);

/// Throws `std::runtime_error` if `folder` has not `bytes` free for `what` (e.g. `to unpack
/// cifar10`).
void check_free_space(const std::filesystem::path& folder, std::uint64_t bytes,
                      const std::string& what);

/// Bytes as `512 bytes`, `29.5 kB`, `170.1 MB` (powers of 1000).
std::string format_bytes(std::uint64_t bytes);

}  // namespace decorr::data
