#pragma once

#include "decorr/learning/layers.h"
#include "decorr/learning/rule.h"

#include <cstdint>
#include <string>
#include <vector>

namespace decorr::learning {

/// Sign-symmetric feedback (Liao, Leibo, Poggio, AAAI 2016; Moskovitz, Litwin-Kumar, Abbott 2018):
/// as feedback alignment, with the signs of the weights of the moment and other magnitudes,
///
///     B = |M| ∘ sign(W).
///
/// `magnitude` uniform: one number for all entries of a layer; fixed: random numbers drawn once;
/// batch: random numbers drawn for each batch. All have the root mean square of the initial weights
/// of the layer times `feedback_scale`. Signs are those of W in its own basis, that of u.
class SignSymmetry : public Rule {
 public:
  /// Reads `magnitude`, `feedback_scale` and `seed` of the options. Throws as make_rule() does.
  SignSymmetry(Network network, Loss loss, const RuleOptions& options, const at::Tensor& example);

  BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                         double weight = 1) override;

  /// B as of now; for `batch` as it is for the next batch.
  at::Tensor feedback(const std::string& path) const override;

 protected:
  std::map<std::string, at::Tensor> state() const override;

 private:
  at::Tensor matrix(std::size_t index) const;

  Network network_;
  Loss loss_;
  bool redraws_;
  RandomStream random_;
  std::vector<TracedLayer> layers_;
  // |M| of each layer: of its weights' shape, or a number (with `batch` the scale of the draws);
  // undefined where the layer reads the data.
  std::vector<at::Tensor> magnitudes_;
  at::Tensor batches_;  // int64, 0-d: batches so far
};

}  // namespace decorr::learning
