#pragma once

#include "decorr/nn/decorrelated_linear.h"
#include "decorr/whitening/decorrelator.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace decorr::nn {

/// What messages call a layer: its `type`, and its `path` if that is known.
inline std::string layer_label(const std::string& type, const std::string& path) {
  return path.empty() ? type : type + " " + path;
}

/// Validates the `options` of the layer with this `label`. Throws `std::invalid_argument` naming
/// it.
void validate(const whitening::DecorrelatorOptions& options, const std::string& label);

/// Adds `gradient`, in the shape of `parameter`, to `parameter.grad()`.
void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient);

/// The tensors, in the form of a parameter, that transform as gradients of it do: an optimizer's
/// first moment.
using MomentsOf = std::function<std::vector<at::Tensor>(const at::Tensor& parameter)>;

/// What a layer made of an input, kept for when it reads the same tensor again. It holds the input,
/// so that no other can take its place in memory; R, μ and the batch's mean must stay as they are.
struct KeptRead {
  at::Tensor input;          ///< what was read
  std::int64_t version = 0;  ///< of `input`, which may be changed in place
  ReadRows read;

  /// Whether `other` is the tensor that was read, and unchanged.
  bool is_of(const at::Tensor& other) const {
    return input.defined() && other.data_ptr() == input.data_ptr() &&
           other.sizes() == input.sizes() && other.strides() == input.strides() &&
           other._version() == version;
  }
};

/// What a learning rule does in a layer's forward and backward pass.
struct LayerHooks {
  /// Gives what the layer reads in place of its input (the same shape); empty for the input itself.
  std::function<at::Tensor(const at::Tensor& input)> input;
  /// Gives what leaves the layer in place of its output (the same shape); empty for the output.
  std::function<at::Tensor(const at::Tensor& output)> output;
  /// B, in the shape and basis of W: the error travels back through B·R in place of W·R. Undefined
  /// for W itself.
  at::Tensor feedback;
  /// Without autograd, a linear layer takes from here what it made of an input, if that is the one
  /// it reads.
  std::shared_ptr<KeptRead> kept = {};
  bool keep = false;  ///< forward() puts into `kept` what it makes of its input
};

/// Interface of the layers that have a Decorrelator in front of their weights. update(), learning
/// rules and the correlation measures find them in any LibTorch module by this type.
///
/// A copy of a layer (clone()) has no hooks and no companions: it belongs to no learning rule.
class DecorrelatedLayer {
 public:
  DecorrelatedLayer() = default;
  DecorrelatedLayer(const DecorrelatedLayer& /*other*/) {}
  DecorrelatedLayer& operator=(const DecorrelatedLayer& /*other*/) { return *this; }
  virtual ~DecorrelatedLayer() = default;

  virtual whitening::Decorrelator& decorrelator() = 0;

  /// W, in the basis of u: [m, n], or the kernel [m, c/groups, k..].
  virtual const at::Tensor& weights() const = 0;

  /// `matrix`, in the shape and basis of W, times R: what it is as a map from x - μ.
  virtual at::Tensor from_input(const at::Tensor& matrix) = 0;

  /// Adds to the `grad()` of W and b what the error `error` = ∂L/∂y of the layer's output gives for
  /// `input`, both in the shapes of forward(): Σ δuᵀ and Σ δ over samples and places. Uses no
  /// autograd; parameters that do not require grad are left alone. Throws `std::invalid_argument`
  /// for an input that forward() would not take, or an error of another size than its output.
  virtual void accumulate_gradient(const at::Tensor& input, const at::Tensor& error) = 0;

  /// From now on forward() does what `hooks` say; empty ones end that.
  void set_hooks(LayerHooks hooks) { hooks_ = std::move(hooks); }
  const LayerHooks& hooks() const { return hooks_; }

  /// Lets `matrix`, in the shape and basis of W (a feedback matrix), follow R in every update() as
  /// W does; remove_companion() ends that.
  void add_companion(const at::Tensor& matrix) { companions_.push_back(matrix); }
  void remove_companion(const at::Tensor& matrix);

  /// The maps that read u, for function preservation: W and b, with what `moments` (if there is
  /// any) says of W, then the companions.
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
  const std::vector<at::Tensor>& companions() const { return companions_; }

 private:
  LayerHooks hooks_;
  std::vector<at::Tensor> companions_;
  bool recording_ = false;
  at::Tensor recorded_;
};

}  // namespace decorr::nn
