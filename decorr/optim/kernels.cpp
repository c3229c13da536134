#include "decorr/optim/kernels.h"

#include "decorr/core/simd.h"

#include <cmath>

// Always inlined, so that each version of a function that DECORR_SIMD_CLONES makes has its own copy
// of the loop.
#define DECORR_INLINE inline __attribute__((always_inline))

namespace decorr::optim::kernels {
namespace {

template <typename Scalar>
DECORR_INLINE void adam_loop(Scalar* __restrict p, const Scalar* __restrict g, Scalar* __restrict m,
                             Scalar* __restrict v, std::int64_t count,
                             const AdamFactors<Scalar>& factors) {
  const AdamFactors<Scalar> f = factors;
  for (std::int64_t i = 0; i < count; ++i) {
    const Scalar first = f.beta1 * m[i] + f.one_minus_beta1 * g[i];
    const Scalar second = f.beta2 * v[i] + f.one_minus_beta2 * g[i] * g[i];
    const Scalar denominator = std::sqrt(second) / f.root_correction2 + f.eps;
    m[i] = first;
    v[i] = second;
    p[i] -= f.decay * p[i] + f.step_size * (first / denominator);
  }
}

template <typename Scalar>
DECORR_INLINE void sgd_loop(Scalar* __restrict p, const Scalar* __restrict g, std::int64_t count,
                            const SgdFactors<Scalar>& factors) {
  const SgdFactors<Scalar> f = factors;
  for (std::int64_t i = 0; i < count; ++i) p[i] -= f.decay * p[i] + f.lr * g[i];
}

template <bool nesterov, typename Scalar>
DECORR_INLINE void sgd_momentum_loop(Scalar* __restrict p, const Scalar* __restrict g,
                                     Scalar* __restrict m, std::int64_t count,
                                     const SgdFactors<Scalar>& factors) {
  const SgdFactors<Scalar> f = factors;
  for (std::int64_t i = 0; i < count; ++i) {
    const Scalar velocity = f.momentum * m[i] + g[i];
    m[i] = velocity;
    const Scalar direction = nesterov ? g[i] + f.momentum * velocity : velocity;
    p[i] -= f.decay * p[i] + f.lr * direction;
  }
}

// Lanes that do not depend on the machine: the order of additions is the same with every vector
// width.
template <typename Scalar>
DECORR_INLINE double sum_of_squares_loop(const Scalar* __restrict x, std::int64_t count) {
  constexpr std::int64_t kLanes = 32;
  double lanes[kLanes] = {};
  const std::int64_t whole = count / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) {
      const double value = static_cast<double>(x[i + j]);
      lanes[j] += value * value;
    }
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (std::int64_t i = whole; i < count; ++i) {
    const double value = static_cast<double>(x[i]);
    sum += value * value;
  }
  return sum;
}

}  // namespace

DECORR_SIMD_CLONES void adam(float* p, const float* g, float* m, float* v, std::int64_t count,
                             const AdamFactors<float>& factors) {
  adam_loop(p, g, m, v, count, factors);
}

DECORR_SIMD_CLONES void adam(double* p, const double* g, double* m, double* v, std::int64_t count,
                             const AdamFactors<double>& factors) {
  adam_loop(p, g, m, v, count, factors);
}

DECORR_SIMD_CLONES void sgd(float* p, const float* g, std::int64_t count,
                            const SgdFactors<float>& factors) {
  sgd_loop(p, g, count, factors);
}

DECORR_SIMD_CLONES void sgd(double* p, const double* g, std::int64_t count,
                            const SgdFactors<double>& factors) {
  sgd_loop(p, g, count, factors);
}

DECORR_SIMD_CLONES void sgd_momentum(float* p, const float* g, float* m, std::int64_t count,
                                     bool nesterov, const SgdFactors<float>& factors) {
  if (nesterov) {
    sgd_momentum_loop<true>(p, g, m, count, factors);
  } else {
    sgd_momentum_loop<false>(p, g, m, count, factors);
  }
}

DECORR_SIMD_CLONES void sgd_momentum(double* p, const double* g, double* m, std::int64_t count,
                                     bool nesterov, const SgdFactors<double>& factors) {
  if (nesterov) {
    sgd_momentum_loop<true>(p, g, m, count, factors);
  } else {
    sgd_momentum_loop<false>(p, g, m, count, factors);
  }
}

DECORR_SIMD_CLONES double sum_of_squares(const float* x, std::int64_t count) {
  return sum_of_squares_loop(x, count);
}

DECORR_SIMD_CLONES double sum_of_squares(const double* x, std::int64_t count) {
  return sum_of_squares_loop(x, count);
}

}  // namespace decorr::optim::kernels
