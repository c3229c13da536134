#pragma once

#include "decorr/learning/rule.h"

#include <string>
#include <vector>

namespace decorr::learning {

/// How close a rule is to backpropagation at one layer.
struct LayerAlignment {
  std::string path;  ///< the layer's path in the model
  /// Angle between what the rule adds to the gradient of W for the batch and what backpropagation
  /// does, in degrees.
  double gradient_angle;
  double norm_ratio;  ///< ‖rule's gradient of W‖ / ‖backpropagation's‖
  /// Angle between B·R and W·R, the maps from the layer's input that the error and the activity
  /// pass, in degrees; NaN if the rule has no B there (Rule::feedback()).
  double feedback_angle;
};

/// Measures `rule`, which trains `network` on `loss`, on a batch, in the network's current mode.
///
/// Changes nothing: gradients, statistics, running means and the rule's own state are as before.
/// Angles are NaN where a gradient is zero. Throws what Rule::accumulate() throws.
std::vector<LayerAlignment> measure_alignment(Rule& rule, Network network, const Loss& loss,
                                              const at::Tensor& input, const at::Tensor& target);

}  // namespace decorr::learning
