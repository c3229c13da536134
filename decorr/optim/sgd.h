#pragma once

#include "decorr/optim/optimizer.h"

#include <torch/arg.h>

namespace decorr::optim {

/// Settings of Sgd. The learning rate is an argument of step().
struct SgdOptions {
  /// Momentum μ, in [0, 1).
  TORCH_ARG(double, momentum) = 0;
  /// Nesterov's form of momentum; needs momentum > 0.
  TORCH_ARG(bool, nesterov) = false;
  /// Decoupled weight decay, >= 0, in units of the learning rate.
  TORCH_ARG(double, weight_decay) = 0;

 public:
  /// Throws `std::invalid_argument` naming the first setting that is out of its range.
  void validate() const;
};

/// Stochastic gradient descent with momentum (Sutskever et al., ICML 2013) and decoupled weight
/// decay (SGDW: Loshchilov and Hutter, ICLR 2019).
///
/// For a parameter p with gradient g:
///
///     m ← μ m + g
///     p ← p − lr · weight_decay · p − lr · d,   d = g + μ m (nesterov), m (momentum) or g (μ = 0)
///
/// Weight decay does not enter the momentum, unlike an L2 penalty. State per parameter, only with
/// momentum: `momentum_buffer` (m). Contiguous parameters on the CPU take one multi-threaded pass
/// over memory, whose result does not depend on the number of threads; others take a sequence of
/// tensor operations.
class Sgd : public Optimizer {
 public:
  /// Throws `std::invalid_argument` for unfit parameters (see Optimizer) or options.
  explicit Sgd(NamedParameters parameters, const SgdOptions& options = {});

  /// The settings as given.
  const SgdOptions& options() const { return options_; }
  double weight_decay() const override { return options_.weight_decay(); }

 private:
  void update(std::size_t index, const at::Tensor& parameter, const at::Tensor& gradient,
              double lr) override;

  SgdOptions options_;
  std::vector<at::Tensor> momentum_buffer_;  // empty without momentum
};

}  // namespace decorr::optim
