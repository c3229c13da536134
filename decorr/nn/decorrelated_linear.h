#pragma once

#include <ATen/core/Tensor.h>

namespace decorr::nn {

/// The tensors of a linear layer that reads decorrelated input.
struct DecorrelatedLinearParameters {
  at::Tensor weight;  ///< W, [m, n]
  at::Tensor bias;    ///< b, [m], or undefined
  /// R, [n, b] (linalg/block_diagonal.h) or [n], or its bfloat16 rounding where products with it
  /// round; undefined: identity.
  at::Tensor matrix;
  at::Tensor mean;          ///< μ, [n], subtracted as a constant; undefined for none
  bool batch_mean = false;  ///< subtract the batch's own mean instead, differentiated through
  bool bfloat16 = false;    ///< round the operands of products with R to bfloat16
};

/// Computes y = W·R·(x - μ) + b for `input` [N, n] and returns [N, m].
///
/// Differentiable once, in the input, W and b; R and μ are learnt by local rules and get no
/// gradient. Evaluated either as u = R(x - μ), y = Wu + b, or with R folded into W' = WR, whichever
/// takes fewer floating-point operations for the batch at hand:
///   explicit adds 2Nnb forward and 2Nnb backward (none backward in a first layer),
///   folded adds 2mnb forward and 2mnb backward (none backward without gradient).
///
/// If linalg::bfloat16_products(), the operands of all products are rounded to bfloat16.
///
/// With `feedback` [m, n] (B, in the basis of W) the error goes back to the input through B·R in
/// place of W·R, for which B is folded or not as W is.
at::Tensor decorrelated_linear(const at::Tensor& input,
                               const DecorrelatedLinearParameters& parameters,
                               const at::Tensor& feedback = {});

/// What the weights read of an input, made once for an output and a gradient without autograd.
struct ReadRows {
  at::Tensor rows;      ///< [N, n]: u = R(x - μ), or x - μ if R is folded into the weights
  bool folded = false;  ///< R goes into the weights
};

/// What the weights read of `input` [N, n]; adds 2Nn² operations for R, or none where folding it
/// takes less. Uses no autograd, as the two below.
ReadRows read_rows(const at::Tensor& input, const DecorrelatedLinearParameters& parameters);

/// The output, [N, m], as of decorrelated_linear().
at::Tensor decorrelated_linear_output(const ReadRows& read,
                                      const DecorrelatedLinearParameters& parameters);

/// The gradient Σ δuᵀ of W, [m, n], for the error `error` [N, m] of the output.
at::Tensor decorrelated_linear_gradient(const ReadRows& read, const at::Tensor& error,
                                        const DecorrelatedLinearParameters& parameters);

}  // namespace decorr::nn
