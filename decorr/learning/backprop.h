#pragma once

#include "decorr/learning/rule.h"

namespace decorr::learning {

/// Backpropagation: the exact gradient, by autograd (Rumelhart, Hinton, Williams, Nature 1986).
class Backprop : public Rule {
 public:
  Backprop(Network network, Loss loss);

  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

 private:
  Network network_;
  Loss loss_;
};

}  // namespace decorr::learning
