#include "decorr/core/schedule.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <cmath>

namespace decorr {

void Schedule::validate(const std::string& where) const {
  check_argument(kind == "constant" || kind == "step" || kind == "cosine",
                 "[{}] schedule must be constant, step or cosine, got \"{}\"", where, kind);
  check_argument(warmup >= 0, "[{}] warm-up must be 0 or more updates, got {}", where, warmup);
  check_argument(step_size >= 1, "[{}] step size must be at least 1 update, got {}", where,
                 step_size);
  check_argument(gamma > 0 && gamma <= 1, "[{}] gamma must be in (0, 1], got {}", where, gamma);
  check_argument(total >= 1, "[{}] total must be at least 1 update, got {}", where, total);
  check_argument(floor >= 0 && floor <= 1, "[{}] floor must be in [0, 1], got {}", where, floor);
}

double Schedule::factor(std::int64_t update) const {
  if (update < warmup) return static_cast<double>(update + 1) / static_cast<double>(warmup);
  const std::int64_t t = update - warmup;
  if (kind == "step") return std::pow(gamma, static_cast<double>(t / step_size));
  if (kind == "cosine") {
    const double progress = std::min(1.0, static_cast<double>(t) / static_cast<double>(total));
    constexpr double kPi = 3.14159265358979323846;
    return floor + (1 - floor) * 0.5 * (1 + std::cos(kPi * progress));
  }
  return 1.0;
}

}  // namespace decorr
