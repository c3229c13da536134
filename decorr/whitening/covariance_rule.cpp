#include "decorr/whitening/covariance_rule.h"

#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace decorr::whitening {

std::vector<DenseStep> CovarianceRule::step(const std::vector<Observation>& blocks,
                                            double /*eta*/) const {
  std::vector<DenseStep> steps;
  double variance = 0, features = 0;
  for (const Observation& block : blocks) {
    const double newest = std::max(1.0 / static_cast<double>(block.update + 1), momentum_);
    const auto rows = static_cast<double>(block.x.size(0));
    DenseStep step;
    step.state = block.state.clone();
    linalg::rank_k_update_(step.state, block.x, block.x, newest / rows, 1 - newest);
    variance += step.state.trace().item<double>();
    features += static_cast<double>(step.state.size(0));
    steps.push_back(std::move(step));
  }
  if ((blocks.front().update + 1) % refresh_every_ != 0) return steps;

  const bool single = blocks.front().state.scalar_type() == at::kFloat;
  const double ridge = (damping_ + (single ? 1e-6 : 1e-12)) * variance / features;
  for (DenseStep& step : steps) {
    at::Tensor damped = step.state.clone();
    damped.diagonal().add_(ridge);
    const Whitening whitening = whiten(damped);
    const double size = keep_energy_ ? std::sqrt(damped.diagonal().mean().item<double>()) : 1.0;
    step.matrix = whitening.matrix * size;
    step.inverse = whitening.inverse / size;
  }
  return steps;
}

}  // namespace decorr::whitening
