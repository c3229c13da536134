#pragma once

#include "decorr/optim/optimizer.h"

#include <torch/arg.h>

namespace decorr::optim {

/// Settings of Adam. The learning rate is an argument of step().
struct AdamOptions {
  /// Decay β₁ of the first moment, in [0, 1).
  TORCH_ARG(double, beta1) = 0.9;
  /// Decay β₂ of the second moment, in [0, 1).
  TORCH_ARG(double, beta2) = 0.999;
  /// Added to the root of the second moment, at least 1.2e-38 (the smallest normal float32).
  TORCH_ARG(double, eps) = 1e-8;
  /// Decoupled weight decay (AdamW), >= 0, in units of the learning rate.
  TORCH_ARG(double, weight_decay) = 0;

 public:
  /// Throws `std::invalid_argument` naming the first setting that is out of its range.
  void validate() const;
};

/// Adam (Kingma and Ba, ICLR 2015) with decoupled weight decay (AdamW: Loshchilov and Hutter,
/// ICLR 2019).
///
/// For a parameter p with gradient g in its t-th update:
///
///     m ← β₁ m + (1 − β₁) g
///     v ← β₂ v + (1 − β₂) g²
///     p ← p − lr · weight_decay · p − lr · (m / (1 − β₁ᵗ)) / (√v / √(1 − β₂ᵗ) + eps)
///
/// t counts the updates of that parameter: steps in which it had no gradient do not count. State
/// per parameter: `exp_avg` (m), `exp_avg_sq` (v), `step` (t). Contiguous parameters on the CPU
/// take one multi-threaded pass over memory, whose result does not depend on the number of threads;
/// others take a sequence of tensor operations.
class Adam : public Optimizer {
 public:
  /// Throws `std::invalid_argument` for unfit parameters (see Optimizer) or options.
  explicit Adam(NamedParameters parameters, const AdamOptions& options = {});

  /// The settings as given.
  const AdamOptions& options() const { return options_; }
  double weight_decay() const override { return options_.weight_decay(); }

 private:
  void update(std::size_t index, const at::Tensor& parameter, const at::Tensor& gradient,
              double lr) override;

  AdamOptions options_;
  std::vector<at::Tensor> exp_avg_;
  std::vector<at::Tensor> exp_avg_sq_;
  std::vector<at::Tensor> count_;
};

}  // namespace decorr::optim
