#pragma once

#include <cstdint>
#include <string>

namespace decorr {

/// How a rate (learning rate, decorrelation rate) changes over updates.
///
/// The factor is a linear warm-up from 1/warmup to 1 over the first `warmup` updates, times
///   - `constant`: 1;
///   - `step`: gamma^⌊t / step_size⌋;
///   - `cosine`: floor + (1 - floor)·(1 + cos(π·min(t / total, 1)))/2,
/// where t counts updates after the warm-up.
struct Schedule {
  std::string kind = "constant";  ///< `constant`, `step` or `cosine`
  std::int64_t warmup = 0;        ///< updates of linear warm-up, >= 0
  std::int64_t step_size = 1;     ///< updates between drops (`step`), >= 1
  double gamma = 0.1;             ///< factor of a drop (`step`), in (0, 1]
  std::int64_t total = 1;         ///< updates after the warm-up until the floor (`cosine`), >= 1
  double floor = 0.0;             ///< last factor (`cosine`), in [0, 1]

  /// Throws `std::invalid_argument` naming `where` when a setting is out of its range.
  void validate(const std::string& where) const;

  /// Factor for update number `update` (0 for the first).
  double factor(std::int64_t update) const;
};

}  // namespace decorr
