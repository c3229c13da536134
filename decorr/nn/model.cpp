#include "decorr/nn/model.h"

#include <utility>

namespace decorr::nn {

DecorrelationPlan everywhere(whitening::DecorrelatorOptions options) {
  return [options = std::move(options)](const std::string&) { return options; };
}

DecorrelationPlan everywhere() { return everywhere(whitening::DecorrelatorOptions()); }

}  // namespace decorr::nn
