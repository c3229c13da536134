#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <utility>

namespace decorr {

/// Throws `std::invalid_argument` with the formatted message unless `condition` holds.
///
/// Messages name the operation in brackets, what was expected and what was received:
/// `[Linear] input must have 784 features, got shape [256, 3072]`.
template <typename... Args>
void check_argument(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) throw std::invalid_argument(fmt::format(message, std::forward<Args>(args)...));
}

/// Throws `std::runtime_error` with the formatted message unless `condition` holds: for failures of
/// the environment (files, memory, devices) rather than of the caller.
template <typename... Args>
void check_runtime(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) throw std::runtime_error(fmt::format(message, std::forward<Args>(args)...));
}

}  // namespace decorr
