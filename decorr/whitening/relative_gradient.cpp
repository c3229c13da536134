#include "decorr/whitening/rules.h"

#include <ATen/ATen.h>

namespace decorr::whitening {
namespace {

/// The relative (natural) gradient step towards white output, as in EASI (Cardoso, Laheld, IEEE
/// Transactions on Signal Processing 1996), without its higher-order term:
///
///   R ← (I - η(C - I))·R,   C = UᵀU / s.
///
/// In factored form D = (1+η)·I and a = η/s.
class RelativeGradient : public LowRankRule {
 public:
  LowRankStep step(const Observation& sample, double eta) const override {
    const auto rows = static_cast<double>(sample.u.size(0));
    return {at::full({sample.u.size(1)}, 1 + eta, sample.u.options()), eta / (rows * sample.scale)};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_relative_gradient(const DecorrelatorOptions& /*options*/) {
  return std::make_shared<RelativeGradient>();
}

}  // namespace decorr::whitening
