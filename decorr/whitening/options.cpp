#include "decorr/whitening/options.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <cmath>

namespace decorr::whitening {
namespace {

void check_choice(const char* setting, const std::string& value,
                  const std::vector<std::string>& allowed) {
  check_argument(std::find(allowed.begin(), allowed.end(), value) != allowed.end(),
                 "[Decorrelator] {} must be one of {}, got \"{}\"", setting,
                 fmt::join(allowed, ", "), value);
}

}  // namespace

std::vector<std::string> presets() { return {"default", "published"}; }

DecorrelatorOptions DecorrelatorOptions::preset(const std::string& name) {
  DecorrelatorOptions options;
  if (name == "published") {
    options.lr = 1e-5;
    options.sampling = "first";
    options.damping = 0;
    options.gain = "published";
    options.mean = "batch";
    options.scale_free = false;
    options.function_preserving = false;
    options.guard = false;
  } else {
    check_choice("preset", name, presets());
  }
  return options;
}

void DecorrelatorOptions::validate() const {
  check_choice("method", method, methods());
  check_choice("sampling", sampling, {"global", "first"});
  check_choice("gain", gain, {"energy", "published", "none"});
  check_choice("mean", mean, {"running", "batch"});
  check_argument(std::isfinite(lr) && lr > 0, "[Decorrelator] lr must be positive, got {}", lr);
  check_argument(sample_fraction > 0 && sample_fraction <= 1,
                 "[Decorrelator] sample_fraction must be in (0, 1], got {}", sample_fraction);
  check_argument(max_samples >= 0,
                 "[Decorrelator] max_samples must be 0 (no bound) or more, got {}", max_samples);
  check_argument(update_every >= 1, "[Decorrelator] update_every must be at least 1, got {}",
                 update_every);
  check_argument(std::isfinite(damping) && damping >= 0,
                 "[Decorrelator] damping must be 0 or more, got {}", damping);
  check_argument(mean_momentum > 0 && mean_momentum <= 1,
                 "[Decorrelator] mean_momentum must be in (0, 1], got {}", mean_momentum);
  schedule.validate("Decorrelator schedule");
}

}  // namespace decorr::whitening
