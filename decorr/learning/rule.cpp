#include "decorr/learning/rule.h"

#include "decorr/core/check.h"
#include "decorr/learning/backprop.h"

#include <utility>

namespace decorr::learning {

std::vector<std::string> rules() { return {"backprop"}; }

std::unique_ptr<Rule> make_rule(const std::string& name, std::shared_ptr<nn::Model> model,
                                Loss loss) {
  check_argument(name == "backprop", "[learning] rule must be one of {}, got \"{}\"",
                 fmt::join(rules(), ", "), name);
  return std::make_unique<Backprop>(std::move(model), std::move(loss));
}

}  // namespace decorr::learning
