#include "decorr/whitening/options.h"

#include "decorr/core/check.h"
#include "decorr/linalg/onednn.h"
#include "decorr/linalg/precision.h"

#include <algorithm>
#include <cmath>
#include <regex>

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
    options.update_every = 1;
    options.sampling = "first";
    options.max_samples = 0;
    options.damping = 0;
    options.gain = "published";
    options.mean = "batch";
    options.pad = "demeaned";
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
  const std::vector<std::string> exact{"zca", "pca", "cholesky", "newton-schulz"};
  check_argument(gain != "published" || std::count(exact.begin(), exact.end(), method) == 0,
                 "[Decorrelator] gain published has no meaning for method {}: use energy or none",
                 method);
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
  check_choice("pad", pad, {"raw", "demeaned"});
  check_choice("moments", moments, {"transport", "keep", "reset"});
  check_choice("precision", precision, {"float32", "bf16"});
  check_argument(precision != "bf16" || linalg::has_bfloat16(),
                 "[Decorrelator] precision bf16 needs a processor with bfloat16 instructions, this "
                 "one has {}: use float32",
                 linalg::onednn::instruction_set());
  check_argument(kappa >= 0 && kappa <= 1, "[Decorrelator] kappa must be in [0, 1], got {}", kappa);
  check_argument(settling >= 0, "[Decorrelator] settling must be 0 (exact) or more steps, got {}",
                 settling);
  check_argument(refresh_every >= 1, "[Decorrelator] refresh_every must be at least 1, got {}",
                 refresh_every);
  check_argument(covariance_momentum > 0 && covariance_momentum <= 1,
                 "[Decorrelator] covariance_momentum must be in (0, 1], got {}",
                 covariance_momentum);
  block_size(1);
  schedule.validate("Decorrelator schedule");
}

std::int64_t DecorrelatorOptions::block_size(std::int64_t features) const {
  if (structure == "full" || structure == "channel") return features;
  static const std::regex block(R"(block\(([1-9][0-9]{0,8})\))");
  std::smatch parts;
  check_argument(std::regex_match(structure, parts, block),
                 "[Decorrelator] structure must be full, channel or block(SIZE) with SIZE in [1, "
                 "999999999], got \"{}\"",
                 structure);
  return std::min<std::int64_t>(std::stoll(parts[1].str()), features);
}

}  // namespace decorr::whitening
