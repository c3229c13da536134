#pragma once

#include "decorr/whitening/decorrelator.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace decorr::nn {

/// What messages call a layer: its `type`, and its `path` if that is known.
inline std::string layer_label(const std::string& type, const std::string& path) {
  return path.empty() ? type : type + " " + path;
}

/// Validates the `options` of the layer with this `label`. Throws `std::invalid_argument` naming
/// it.
void validate(const whitening::DecorrelatorOptions& options, const std::string& label);

/// The tensors, in the form of a parameter, that transform as gradients of it do: an optimizer's
/// first moment.
using MomentsOf = std::function<std::vector<at::Tensor>(const at::Tensor& parameter)>;

/// Interface of the layers that have a Decorrelator in front of their weights. update() and the
/// correlation measures find them in any LibTorch module by this type.
class DecorrelatedLayer {
 public:
  virtual ~DecorrelatedLayer() = default;

  virtual whitening::Decorrelator& decorrelator() = 0;

  /// The maps that read u, for function preservation, with what `moments` (if there is any) says
  /// of their weights.
  virtual std::vector<whitening::Readout> readouts(const MomentsOf& moments) = 0;
  std::vector<whitening::Readout> readouts() { return readouts(MomentsOf()); }

  /// From now on keeps the newest input of forward(), [N, n] rows, for recorded_input() (of a
  /// convolution some thousand patches, evenly spread); off by default, and switching it off lets
  /// go of the tensor.
  void record_input(bool on) {
    recording_ = on;
    if (!on) recorded_ = at::Tensor();
  }

  /// The input kept last, or undefined.
  const at::Tensor& recorded_input() const { return recorded_; }

 protected:
  bool records_input() const { return recording_; }
  void record(const at::Tensor& rows) { recorded_ = rows.detach(); }

 private:
  bool recording_ = false;
  at::Tensor recorded_;
};

}  // namespace decorr::nn
