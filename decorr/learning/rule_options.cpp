#include "decorr/learning/rule_options.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace decorr::learning {
namespace {

void check_choice(const char* setting, const std::string& value,
                  const std::vector<std::string>& allowed) {
  check_argument(std::find(allowed.begin(), allowed.end(), value) != allowed.end(),
                 "[learning] {} must be one of {}, got \"{}\"", setting, fmt::join(allowed, ", "),
                 value);
}

}  // namespace

void RuleOptions::validate() const {
  check_choice("feedback_init", feedback_init, {"uniform", "normal", "weights"});
  check_argument(std::isfinite(feedback_scale) && feedback_scale > 0,
                 "[learning] feedback_scale must be finite and greater than 0, got {}",
                 feedback_scale);
  check_choice("feedback_space", feedback_space, {"input", "decorrelated"});
  check_choice("magnitude", magnitude, {"uniform", "fixed", "batch"});
  check_choice("variant", variant, {"simultaneous", "iterative", "activity-based"});
  check_argument(std::isfinite(sigma) && sigma > 0,
                 "[learning] sigma must be finite and greater than 0, got {}", sigma);
}

}  // namespace decorr::learning
