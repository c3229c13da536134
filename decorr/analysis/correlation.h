#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

namespace decorr::analysis {

/// Relative off-diagonal energy Σ_{i≠j} C_ij² / Σ_i C_ii² of a covariance matrix `c` [n, n]; 0 for
/// a diagonal one. NaN if the diagonal is zero.
double off_diagonal_energy(const at::Tensor& c);

/// Estimates the relative off-diagonal energy of the covariance behind two independent samples of
/// centred rows, `first` [N₁, n] and `second` [N₂, n].
///
/// The covariance of one small sample is full of chance correlations, which the energy counts
/// (about n/N of them for white data). Products of two independent estimates, C₁∘C₂, have none on
/// average: the energy is (‖U₁U₂ᵀ‖² / N₁N₂ - Σ C₁ᵢᵢC₂ᵢᵢ) / Σ C₁ᵢᵢC₂ᵢᵢ. No n×n matrix is formed. The
/// estimate scatters around the true value, so that it can be slightly negative for white data.
double off_diagonal_energy(const at::Tensor& first, const at::Tensor& second);

/// Correlation in front of one decorrelated layer.
struct LayerCorrelation {
  std::string path;     ///< the layer's path in the model
  double input_energy;  ///< relative off-diagonal energy of the layer's input x
  double energy;        ///< the same of u = R(x - μ); equal to input_energy without a rule
  double matrix_norm;   ///< ‖R‖₂
};

/// Measures every decorrelated layer of `model` on `input` [N, ..], N >= 4, in evaluation mode: the
/// first half of the rows against the second. `forward` runs the model. Changes nothing: each
/// module's mode is restored, also when `forward` throws. Throws `std::invalid_argument` for fewer
/// rows, or if `forward` does not run one of the layers.
std::vector<LayerCorrelation> measure_correlation(
    torch::nn::Module& model, const at::Tensor& input,
    const std::function<at::Tensor(const at::Tensor&)>& forward);

}  // namespace decorr::analysis
