#pragma once

#include <cstddef>
#include <string>

// Internal to report/: not installed.
namespace decorr::report {

/// `1 run`, `2 runs`.
inline std::string plural(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace decorr::report
