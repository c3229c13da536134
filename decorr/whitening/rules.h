#pragma once

#include "decorr/whitening/rule.h"

#include <memory>

/// The rules, each in a file of its own name.
namespace decorr::whitening {

std::shared_ptr<const Rule> make_norm_preserving();
std::shared_ptr<const Rule> make_copi();
std::shared_ptr<const Rule> make_standardize();

}  // namespace decorr::whitening
