#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace decorr::learning {

/// Names that Loss accepts: `cross-entropy` and `squared-error`.
std::vector<std::string> losses();

/// A classification loss, averaged over the batch.
class Loss {
 public:
  /// Throws `std::invalid_argument` for a name that is not in losses().
  explicit Loss(std::string name);

  /// The mean over the batch, a scalar, differentiable in `logits` [N, K]; `target` [N] holds
  /// classes 0 … K - 1 (int64). `cross-entropy`: -log softmax(logits)[target]. `squared-error`: the
  /// sum over the K outputs of (logits - onehot)². Throws `std::invalid_argument` for other shapes.
  at::Tensor operator()(const at::Tensor& logits, const at::Tensor& target) const;

  /// The loss of each sample with `to` [N, K] less that with `from` [N, K]: [N] in float64. Formed
  /// from the difference of the logits, so that a small one is as exact as that difference itself.
  /// Not differentiable; shapes as above.
  at::Tensor difference(const at::Tensor& from, const at::Tensor& to,
                        const at::Tensor& target) const;

 private:
  void check(const at::Tensor& logits, const at::Tensor& target) const;

  std::string name_;
};

}  // namespace decorr::learning
