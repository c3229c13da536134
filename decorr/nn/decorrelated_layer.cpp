#include "decorr/nn/decorrelated_layer.h"

#include "decorr/core/check.h"

#include <stdexcept>

namespace decorr::nn {

void validate(const whitening::DecorrelatorOptions& options, const std::string& label) {
  try {
    options.validate();
  } catch (const std::invalid_argument& error) {
    check_argument(false, "[{}] {}", label, error.what());
  }
}

}  // namespace decorr::nn
