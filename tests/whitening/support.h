#pragma once

#include "decorr/core/random.h"
#include "decorr/whitening/decorrelator.h"

#include <ATen/ATen.h>

#include <cmath>

namespace decorr::whitening {

inline const at::TensorOptions kFloat64 = at::TensorOptions().dtype(at::kDouble);

inline at::Tensor normal(at::IntArrayRef sizes, std::uint64_t stream) {
  return RandomStream(11, stream).normal(sizes, kFloat64);
}

/// A Gaussian of width n whose covariance is known and correlated: eigenvalues from 1 to
/// `condition` in a random basis.
class CorrelatedGaussian {
 public:
  CorrelatedGaussian(std::int64_t n, double condition, std::uint64_t stream = 100) {
    basis_ = std::get<0>(at::linalg_qr(normal({n, n}, stream)));
    eigenvalues_ = at::logspace(0, std::log10(condition), n, 10, kFloat64);
  }

  at::Tensor covariance() const { return at::matmul(basis_ * eigenvalues_, basis_.t()); }

  at::Tensor sample(std::int64_t rows, std::uint64_t stream) const {
    return at::matmul(normal({rows, eigenvalues_.size(0)}, stream) * eigenvalues_.sqrt(),
                      basis_.t());
  }

 private:
  at::Tensor basis_, eigenvalues_;
};

inline Decorrelator make_decorrelator(std::int64_t n, const DecorrelatorOptions& options,
                                      std::uint64_t seed = 5) {
  Decorrelator decorrelator(n, options, RandomStream(seed, "test"));
  decorrelator->to(at::kDouble);
  return decorrelator;
}

/// Feeds `x` in training mode and updates.
inline UpdateReport feed(Decorrelator& decorrelator, const at::Tensor& x,
                         at::ArrayRef<Readout> readouts = {}) {
  decorrelator->observe(x);
  return decorrelator->update(readouts);
}

inline double max_error(const at::Tensor& actual, const at::Tensor& expected) {
  return (actual - expected).abs().max().item<double>();
}

}  // namespace decorr::whitening
