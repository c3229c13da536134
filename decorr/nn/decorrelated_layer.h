#pragma once

#include "decorr/whitening/decorrelator.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace decorr::nn {

/// Interface of the layers that have a Decorrelator in front of their weights. update() and the
/// correlation measures find them in any LibTorch module by this type.
class DecorrelatedLayer {
 public:
  virtual ~DecorrelatedLayer() = default;

  virtual whitening::Decorrelator& decorrelator() = 0;

  /// The maps that read u, for function preservation.
  virtual std::vector<whitening::Readout> readouts() = 0;

  /// From now on keeps the newest input of forward(), [N, n] rows, for recorded_input(); off by
  /// default, and switching it off lets go of the tensor.
  void record_input(bool on) {
    recording_ = on;
    if (!on) recorded_ = at::Tensor();
  }

  /// The input kept last, or undefined.
  const at::Tensor& recorded_input() const { return recorded_; }

 protected:
  void maybe_record(const at::Tensor& rows) {
    if (recording_) recorded_ = rows.detach();
  }

 private:
  bool recording_ = false;
  at::Tensor recorded_;
};

}  // namespace decorr::nn
