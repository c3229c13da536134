#include "decorr/optim/sgd.h"

#include "decorr/core/check.h"
#include "decorr/optim/flat.h"
#include "decorr/optim/kernels.h"

#include <ATen/ATen.h>

#include <cmath>

namespace decorr::optim {
namespace {

template <typename Scalar>
kernels::SgdFactors<Scalar> sgd_cast(const kernels::SgdFactors<double>& f) {
  return {static_cast<Scalar>(f.lr), static_cast<Scalar>(f.momentum), static_cast<Scalar>(f.decay)};
}

}  // namespace

void SgdOptions::validate() const {
  check_argument(momentum_ >= 0 && momentum_ < 1, "[Sgd] momentum must be in [0, 1), got {}",
                 momentum_);
  check_argument(!nesterov_ || momentum_ > 0, "[Sgd] nesterov needs momentum > 0, got {}",
                 momentum_);
  check_argument(weight_decay_ >= 0 && std::isfinite(weight_decay_),
                 "[Sgd] weight decay must be finite and >= 0, got {}", weight_decay_);
}

Sgd::Sgd(NamedParameters parameters, const SgdOptions& options)
    : Optimizer(std::move(parameters)), options_(options) {
  options_.validate();
  if (options_.momentum() > 0) momentum_buffer_ = add_moments("momentum_buffer");
}

void Sgd::update(std::size_t index, const at::Tensor& parameter, const at::Tensor& gradient,
                 double lr) {
  const kernels::SgdFactors<double> factors{lr, options_.momentum(), lr * options_.weight_decay()};
  const bool has_momentum = !momentum_buffer_.empty();
  if (is_flat(parameter)) {
    const at::Tensor g = gradient.contiguous();
    for_flat(parameter, [&](auto zero, std::int64_t begin, std::int64_t end) {
      using Scalar = decltype(zero);
      Scalar* p = parameter.data_ptr<Scalar>() + begin;
      const Scalar* gradients = g.data_ptr<Scalar>() + begin;
      if (has_momentum) {
        kernels::sgd_momentum(p, gradients, momentum_buffer_[index].data_ptr<Scalar>() + begin,
                              end - begin, options_.nesterov(), sgd_cast<Scalar>(factors));
      } else {
        kernels::sgd(p, gradients, end - begin, sgd_cast<Scalar>(factors));
      }
    });
    return;
  }
  at::Tensor direction = gradient;
  if (has_momentum) {
    const at::Tensor& m = momentum_buffer_[index];
    m.mul_(factors.momentum).add_(gradient);
    direction = options_.nesterov() ? gradient.add(m, factors.momentum) : m;
  }
  parameter.sub_(direction.mul(lr).add_(parameter, factors.decay));
}

}  // namespace decorr::optim
