#pragma once

#include "decorr/optim/optimizer.h"

namespace decorr::optim {

/// Scales all gradients of `parameters` in place so that their common L2 norm is at most
/// `max_norm`, and returns the norm before.
///
/// The norm is added up in double, in the order of the parameters and in blocks of a fixed size:
/// the same bits with any number of threads. Parameters without gradient are left out. If the norm
/// is not finite the gradients stay as they are and the caller decides; `max_norm` infinity only
/// measures. Throws `std::invalid_argument` if `max_norm` is not > 0, or if no parameter has a
/// gradient or one of the gradients is not a dense float32 or float64 tensor.
double clip_gradient_norm(const NamedParameters& parameters, double max_norm);

}  // namespace decorr::optim
