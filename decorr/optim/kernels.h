#pragma once

#include <cstdint>

/// Loops over flat memory behind the optimizers, for one thread. Elements are independent and
/// rounded one operation at a time, so a result depends neither on how a range is cut nor on the
/// machine's vector instructions.
namespace decorr::optim::kernels {

/// Factors of one Adam update, the same for every element.
template <typename Scalar>
struct AdamFactors {
  Scalar beta1;
  Scalar one_minus_beta1;
  Scalar beta2;
  Scalar one_minus_beta2;
  Scalar root_correction2;  ///< √(1 − β₂ᵗ)
  Scalar eps;
  Scalar step_size;  ///< lr / (1 − β₁ᵗ)
  Scalar decay;      ///< lr · weight decay
};

/// One Adam update of `count` elements: parameter p, gradient g, moments m and v (no overlap).
void adam(float* p, const float* g, float* m, float* v, std::int64_t count,
          const AdamFactors<float>& factors);
void adam(double* p, const double* g, double* m, double* v, std::int64_t count,
          const AdamFactors<double>& factors);

/// Factors of one SGD update, the same for every element.
template <typename Scalar>
struct SgdFactors {
  Scalar lr;
  Scalar momentum;
  Scalar decay;  ///< lr · weight decay
};

/// One SGD update without momentum of `count` elements: parameter p, gradient g (no overlap).
void sgd(float* p, const float* g, std::int64_t count, const SgdFactors<float>& factors);
void sgd(double* p, const double* g, std::int64_t count, const SgdFactors<double>& factors);

/// One SGD update with momentum buffer m (no overlap).
void sgd_momentum(float* p, const float* g, float* m, std::int64_t count, bool nesterov,
                  const SgdFactors<float>& factors);
void sgd_momentum(double* p, const double* g, double* m, std::int64_t count, bool nesterov,
                  const SgdFactors<double>& factors);

/// Σ x² of `count` elements in double, always added up in the same order.
double sum_of_squares(const float* x, std::int64_t count);
double sum_of_squares(const double* x, std::int64_t count);

}  // namespace decorr::optim::kernels
