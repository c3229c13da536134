#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

namespace decorr::whitening {
namespace {

/// Per-feature unit variance, the diagonal baseline (as batch normalisation does it, Ioffe and
/// Szegedy 2015, but on the layer's input and with running statistics in training too):
///
///   r_i = (v_i + λv̄)^(-1/2),   v_i the running variance of feature i.
///
/// The running variance is read back from R, which is its only state. A feature of less than 10⁻⁵
/// of the mean variance counts as having that much, so that a constant one is not blown up.
class Standardize : public LowRankRule {
 public:
  LowRankStep step(const Observation& sample, double /*eta*/) const override {
    const at::Tensor newest = sample.x.square().mean(0).add_(sample.noise_variance);
    at::Tensor variance = sample.matrix.pow(-2).lerp_(newest, sample.momentum);
    constexpr double kFloor = 1e-5;
    variance = at::maximum(variance, variance.mean() * kFloor);
    return {variance.rsqrt_().div_(sample.matrix), 0};
  }

  bool diagonal() const override { return true; }
  bool reads_output() const override { return false; }
};

}  // namespace

std::shared_ptr<const Rule> make_standardize(const DecorrelatorOptions& /*options*/) {
  return std::make_shared<Standardize>();
}

}  // namespace decorr::whitening
