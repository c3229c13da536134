#include "decorr/whitening/rules.h"

namespace decorr::whitening {
namespace {

/// Norm-preserving decorrelation (Ahmad 2024, arXiv 2407.10780):
///
///   R ← g·(I - ηC)·R,   C = UᵀU / s.
///
/// Every direction of u shrinks in proportion to its variance and the gain g restores the total, so
/// directions of little variance grow until all are alike: C ∝ I at the fixed point.
class NormPreserving : public LowRankRule {
 public:
  LowRankStep step(const Observation& sample, double eta) const override {
    const auto rows = static_cast<double>(sample.u.size(0));
    return {at::Tensor(), eta / (rows * sample.scale)};
  }
};

}  // namespace

std::shared_ptr<const Rule> make_norm_preserving(const DecorrelatorOptions& /*options*/) {
  return std::make_shared<NormPreserving>();
}

}  // namespace decorr::whitening
