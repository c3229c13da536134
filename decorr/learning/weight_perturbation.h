#pragma once

#include "decorr/core/random.h"
#include "decorr/learning/rule.h"

#include <string>
#include <vector>

namespace decorr::learning {

/// Weight perturbation: the mean loss of the batch is compared with that of a second pass with
/// noise Ξ of variance σ² on all parameters,
///
///     ∇θ = (L̃ - L)/σ² · Ξ,
///
/// which is the gradient up to terms of order σ² (Jabri, Flower, IEEE TNN 1992; Cauwenberghs,
/// NeurIPS 1993). Nothing is differentiated, and one draw serves the whole batch. With
/// `antithetic`, L̃ - L is (L(+Ξ) - L(-Ξ))/2. Serves any network; only the clean pass feeds the
/// statistics of the Decorrelators and of batch normalization.
class WeightPerturbation : public Rule {
 public:
  /// Reads `sigma`, `antithetic` and `seed` of the options. Throws as make_rule() does.
  WeightPerturbation(Network network, Loss loss, const RuleOptions& options);

  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

 protected:
  std::map<std::string, at::Tensor> state() const override { return {{"batches", batches_}}; }

 private:
  at::Tensor perturbed(const at::Tensor& input, const std::vector<at::Tensor>& noise, double sign);

  Network network_;
  Loss loss_;
  RuleOptions options_;
  RandomStream random_;
  std::vector<at::Tensor> parameters_;
  at::Tensor batches_;  // int64, 0-d: batches so far
};

}  // namespace decorr::learning
