#pragma once

#include "decorr/data/dataset.h"

#include <cstdint>
#include <string>

namespace decorr::data {

/// Settings of make_gaussian().
struct GaussianOptions {
  std::int64_t samples = 10000;  ///< to train, in [1, 10⁷]; to test there are a fifth, at least 1
  std::int64_t features = 64;    ///< n, in [1, 10⁵]
  double correlation = 0.9;      ///< ρ of neighbours, in [0, 1)
  std::int64_t classes = 10;     ///< K, in [2, 10⁴]
  std::uint64_t seed = 42;       ///< of data and teacher
};

/// Makes the part `split` (`train` or `test`) of a dataset of correlated Gaussian vectors that a
/// random linear teacher has labelled.
///
/// x ~ N(0, Σ) with Σ_ij = ρ^|i−j|, made from independent standard normal e: x_1 = e_1 and
/// x_i = ρ x_{i−1} + √(1−ρ²) e_i. The label is argmax_k (We)_k, W of K random rows of norm 1: the
/// classes are of about equal size and depend on all directions of x alike, those of little
/// variance included, e = Σ^{−1/2}x up to a rotation. The best weights on x are W L⁻¹ with LLᵀ = Σ;
/// the larger ρ, the worse the condition of Σ, at most ((1+ρ)/(1−ρ))², for steepest descent on x.
///
/// Returns images uint8 [N, 1, 1, n] with the pixels 128 + 32x, rounded and clipped to 0 … 255. The
/// result depends on the options alone. Throws `std::invalid_argument` for settings out of range.
Dataset make_gaussian(const std::string& split, const GaussianOptions& options);

}  // namespace decorr::data
