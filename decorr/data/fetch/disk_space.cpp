#include "decorr/data/fetch/disk_space.h"

#include "decorr/core/check.h"

#include <cerrno>
#include <cstring>
#include <sys/statvfs.h>

namespace decorr::data {

std::uint64_t free_bytes(const std::filesystem::path& folder) {
  struct statvfs status {};
  check_runtime(::statvfs(folder.c_str(), &status) == 0,
                "[fetch] cannot tell the free space of {}: {}; check the folder", folder.string(),
                std::strerror(errno));
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

void check_free_space(const std::filesystem::path& folder, std::uint64_t bytes,
                      const std::string& what) {
  const std::uint64_t free = free_bytes(folder);
  check_runtime(free >= bytes,
                "[fetch] not enough space {}: it takes {}, the disk of {} has {} free; free space "
                "or give another folder with --to",
                what, format_bytes(bytes), folder.string(), format_bytes(free));
}

std::string format_bytes(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  if (bytes < 1'000'000) return fmt::format("{:.1f} kB", value / 1e3);
  if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.1f} GB", value / 1e9);
}

}  // namespace decorr::data
