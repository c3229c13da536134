#pragma once

#include "decorr/learning/layers.h"
#include "decorr/learning/rule.h"

#include <string>
#include <vector>

namespace decorr::learning {

/// Feedback alignment (Lillicrap, Cownden, Tweed, Akerman, Nature Communications 2016): the error
/// travels back through fixed random matrices B in place of the weights W,
///
///     ∇W = Σ δuᵀ as in backpropagation, but  δx = Rᵀ·Bᵀ·δ;
///
/// for a convolution the transposed convolution with the kernel B·R. Between layers (activations,
/// pooling, normalization) the error travels as in backpropagation. B is drawn when the rule is
/// built, in the shape of W, for every layer but those that read the data. With `feedback_space`
/// input it follows R as W does in update(), B ← B·M, so that B·R stays the same.
class FeedbackAlignment : public Rule {
 public:
  /// Reads `feedback_init`, `feedback_scale`, `feedback_space` and `seed` of the options. Throws as
  /// make_rule() does.
  FeedbackAlignment(Network network, Loss loss, const RuleOptions& options,
                    const at::Tensor& example)
      : FeedbackAlignment(std::move(network), std::move(loss), options, example,
                          "feedback-alignment") {}
  ~FeedbackAlignment() override;

  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

  /// B itself, shared with the rule: undefined for a layer that reads the data.
  at::Tensor feedback(const std::string& path) const override;

 protected:
  FeedbackAlignment(Network network, Loss loss, const RuleOptions& options,
                    const at::Tensor& example, const std::string& name);

  std::map<std::string, at::Tensor> state() const override;
  const std::vector<TracedLayer>& layers() const { return layers_; }
  const std::vector<at::Tensor>& matrices() const { return matrices_; }

 private:
  Network network_;
  Loss loss_;
  std::string name_;
  std::vector<TracedLayer> layers_;
  std::vector<at::Tensor> matrices_;  // B of each layer; undefined where it reads the data
};

}  // namespace decorr::learning
