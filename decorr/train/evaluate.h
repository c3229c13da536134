#pragma once

#include "decorr/data/loader.h"
#include "decorr/learning/loss.h"
#include "decorr/nn/model.h"

#include <cstdint>
#include <optional>

namespace decorr::train {

/// Classes from which on the accuracy of the five largest outputs is reported as well.
constexpr std::int64_t kManyClasses = 100;

/// Loss and accuracy, summed over samples.
struct Score {
  double loss_sum = 0;       ///< sum of the samples' losses
  std::int64_t correct = 0;  ///< samples whose largest output is their class
  std::int64_t count = 0;    ///< samples
  /// Samples whose class is among the five largest outputs; counted by evaluate() alone, and only
  /// for kManyClasses outputs or more.
  std::optional<std::int64_t> correct5;

  double loss() const { return loss_sum / static_cast<double>(count); }
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(count); }

  /// The share of correct5, which must be there.
  double top5() const { return static_cast<double>(*correct5) / static_cast<double>(count); }

  /// Adds a batch with mean loss `loss`, outputs `logits` [N, K] and classes `target` [N].
  void add(double loss, const at::Tensor& logits, const at::Tensor& target);
};

/// Scores `model` in evaluation mode (its mode is restored) on one epoch of `loader`.
Score evaluate(nn::Model& model, data::Loader& loader, const learning::Loss& loss);

}  // namespace decorr::train
