#pragma once

#include "decorr/learning/layers.h"
#include "decorr/learning/rule.h"

#include <string>
#include <vector>

namespace decorr::learning {

/// Direct feedback alignment (Nøkland, NeurIPS 2016): the error of the network's outputs goes
/// straight to every layer, through a fixed random matrix of its own,
///
///     δx_l = B_l·e,  e = ∂L/∂logits,  B_l [n_l, K],
///
/// where x_l is what layer l reads, [N, n_l] (an image [N, C, H, W] counts as C·H·W numbers, and of
/// a sequence [N, T, n] each token receives the same): the output of the block below, from which
/// the error goes on exactly through pooling, normalization and activation to the weights below,
/// and no further. The layer that gives the logits learns from e itself. No layer waits for the
/// error of the next. A path that passes no layer, such as a residual connection, carries the error
/// as in backpropagation.
///
/// B_l has the root mean square of the weights of the last layer, times `feedback_scale`.
class DirectFeedbackAlignment : public Rule {
 public:
  /// Reads `feedback_init`, `feedback_scale` and `seed` of the options. Throws as make_rule() does,
  /// and if the network is not to give one row of outputs a sample.
  DirectFeedbackAlignment(Network network, Loss loss, const RuleOptions& options,
                          const at::Tensor& example);

  /// Throws `std::invalid_argument` too if a layer's input has another size than that of the
  /// example.
  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

 protected:
  std::map<std::string, at::Tensor> state() const override;

 private:
  Network network_;
  Loss loss_;
  std::vector<TracedLayer> layers_;
  std::vector<at::Tensor> matrices_;  // B_l [n_l, K]; undefined where the layer reads the data
};

}  // namespace decorr::learning
