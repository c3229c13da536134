#include "decorr/optim/adam.h"

#include "decorr/core/check.h"
#include "decorr/optim/flat.h"
#include "decorr/optim/kernels.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace decorr::optim {
namespace {

template <typename Scalar>
kernels::AdamFactors<Scalar> adam_cast(const kernels::AdamFactors<double>& f) {
  return {static_cast<Scalar>(f.beta1),
          static_cast<Scalar>(f.one_minus_beta1),
          static_cast<Scalar>(f.beta2),
          static_cast<Scalar>(f.one_minus_beta2),
          static_cast<Scalar>(f.root_correction2),
          static_cast<Scalar>(f.eps),
          static_cast<Scalar>(f.step_size),
          static_cast<Scalar>(f.decay)};
}

void update_flat(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& m,
                 const at::Tensor& v, const kernels::AdamFactors<double>& factors) {
  const at::Tensor g = gradient.contiguous();
  for_flat(parameter, [&](auto zero, std::int64_t begin, std::int64_t end) {
    using Scalar = decltype(zero);
    kernels::adam(parameter.data_ptr<Scalar>() + begin, g.data_ptr<Scalar>() + begin,
                  m.data_ptr<Scalar>() + begin, v.data_ptr<Scalar>() + begin, end - begin,
                  adam_cast<Scalar>(factors));
  });
}

void update_by_operations(const at::Tensor& parameter, const at::Tensor& gradient,
                          const at::Tensor& m, const at::Tensor& v,
                          const kernels::AdamFactors<double>& factors) {
  m.mul_(factors.beta1).add_(gradient, factors.one_minus_beta1);
  v.mul_(factors.beta2).addcmul_(gradient, gradient, factors.one_minus_beta2);
  const at::Tensor denominator = v.sqrt().div_(factors.root_correction2).add_(factors.eps);
  parameter.sub_(m.div(denominator).mul_(factors.step_size).add_(parameter, factors.decay));
}

}  // namespace

void AdamOptions::validate() const {
  check_argument(beta1_ >= 0 && beta1_ < 1, "[Adam] beta1 must be in [0, 1), got {}", beta1_);
  check_argument(beta2_ >= 0 && beta2_ < 1, "[Adam] beta2 must be in [0, 1), got {}", beta2_);
  // A smaller eps would be 0 in float32 arithmetic, and a zero gradient would divide 0 by 0.
  check_argument(eps_ >= std::numeric_limits<float>::min() && std::isfinite(eps_),
                 "[Adam] eps must be finite and at least 1.2e-38, got {}", eps_);
  check_argument(weight_decay_ >= 0 && std::isfinite(weight_decay_),
                 "[Adam] weight decay must be finite and >= 0, got {}", weight_decay_);
}

Adam::Adam(NamedParameters parameters, const AdamOptions& options)
    : Optimizer(std::move(parameters)), options_(options) {
  options_.validate();
  exp_avg_ = add_moments("exp_avg");
  exp_avg_sq_ = add_moments("exp_avg_sq");
  count_ = add_counts("step");
}

void Adam::update(std::size_t index, const at::Tensor& parameter, const at::Tensor& gradient,
                  double lr) {
  const auto t = static_cast<double>(count_[index].add_(1).item<std::int64_t>());
  const kernels::AdamFactors<double> factors{
      options_.beta1(),
      1 - options_.beta1(),
      options_.beta2(),
      1 - options_.beta2(),
      std::sqrt(1 - std::pow(options_.beta2(), t)),
      options_.eps(),
      lr / (1 - std::pow(options_.beta1(), t)),
      lr * options_.weight_decay(),
  };
  if (is_flat(parameter)) {
    update_flat(parameter, gradient, exp_avg_[index], exp_avg_sq_[index], factors);
  } else {
    update_by_operations(parameter, gradient, exp_avg_[index], exp_avg_sq_[index], factors);
  }
}

}  // namespace decorr::optim
