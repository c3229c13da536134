#pragma once

#include "decorr/learning/feedback_alignment.h"

namespace decorr::learning {

/// Kolen and Pollack's rule (IJCNN 1994; Akrout et al., NeurIPS 2019): feedback alignment whose
/// matrices learn. B receives the step that the optimizer takes with W, and its own share of the
/// optimizer's decoupled weight decay λ,
///
///     B ← B + ΔW + lr·λ·(W_old - B),
///
/// so that W - B shrinks by (1 - lr·λ) a step: with decay B converges to W without ever reading it;
/// without, the two keep their distance, and align only as far as both grow alike. Weights that
/// take no step (frozen, or without gradient) leave their B alone.
class KolenPollack : public FeedbackAlignment {
 public:
  /// As FeedbackAlignment.
  KolenPollack(Network network, Loss loss, const RuleOptions& options, const at::Tensor& example)
      : FeedbackAlignment(std::move(network), std::move(loss), options, example, "kolen-pollack") {}

  void step(optim::Optimizer& optimizer, double lr) override;
};

}  // namespace decorr::learning
