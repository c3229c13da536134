#pragma once

#include "decorr/learning/rule.h"

#include <memory>

namespace decorr::learning {

/// Backpropagation: the exact gradient, by autograd (Rumelhart, Hinton, Williams, Nature 1986).
class Backprop : public Rule {
 public:
  Backprop(std::shared_ptr<nn::Model> model, Loss loss);

  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

 private:
  std::shared_ptr<nn::Model> model_;
  Loss loss_;
};

}  // namespace decorr::learning
