#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace decorr::optim {

/// Parameters by name, in the order in which an optimizer visits them.
using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

/// The parameters of `module` by their path (`layers.0.weight`), in the order they are registered.
NamedParameters named_parameters(const torch::nn::Module& module);

/// Base of the optimizers: owns the named parameters, the step count and the saved state.
///
/// A step changes parameters in place, outside autograd: their memory stays where it is. State is
/// kept by parameter name, so that it survives a rebuilt model. Parameters must keep shape, type
/// and device while the optimizer lives: move the model first, then build the optimizer.
class Optimizer {
 public:
  /// Throws `std::invalid_argument` if the list is empty, a name is empty or occurs twice, two
  /// parameters are the same tensor or begin at the same memory, or a parameter is undefined, not a
  /// dense float32 or float64 leaf that requires grad, or an expanded view.
  explicit Optimizer(NamedParameters parameters);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of every parameter from its `.grad()` with learning rate `lr` >= 0.
  ///
  /// A parameter without gradient is skipped: neither it nor its state changes. Throws
  /// `std::invalid_argument`, before anything changes, if no parameter has a gradient, if a
  /// gradient differs from its parameter in shape, type, layout or device, if a parameter with
  /// moments has changed in one of these, or if `lr` is negative or not finite.
  void step(double lr);

  /// Drops all gradients (`.grad()` becomes undefined).
  void zero_grad();

  /// Decoupled weight decay λ: step(lr) takes lr·λ of each parameter away from it.
  virtual double weight_decay() const { return 0; }

  /// Number of step() calls so far, those before a load_state_dict() of their state included.
  std::int64_t steps() const;

  /// The state of `parameter` that transforms as its gradient does, in its shape: Adam's first
  /// moment, SGD's momentum. It shares memory with the state. Empty if there is none.
  std::vector<at::Tensor> first_moments(const at::Tensor& parameter) const;

  /// Sets all state of the parameter that shares memory with `parameter` to zero.
  void reset_moments(const at::Tensor& parameter);

  /// The parameters as given.
  const NamedParameters& parameters() const { return parameters_; }

  /// Copies of all state: `step` (int64, 0-d) and one tensor `<parameter name>.<state>` per
  /// parameter and kind of state, e.g. `layers.0.weight.exp_avg`.
  std::map<std::string, at::Tensor> state_dict() const;

  /// Takes over what state_dict() returned. Throws `std::invalid_argument` naming the key, and
  /// changes nothing, if an entry is missing, unknown, undefined, of another shape or type, or a
  /// negative count.
  void load_state_dict(const std::map<std::string, at::Tensor>& state);

 protected:
  /// Adds a zero tensor in the form of each parameter to the state, as `<parameter name>.<name>`.
  /// Returns them in the order of the parameters; they share memory with the state. What is added
  /// first transforms as gradients do.
  std::vector<at::Tensor> add_moments(const std::string& name);

  /// Like add_moments(), a count (int64, 0-d, on the CPU) per parameter.
  std::vector<at::Tensor> add_counts(const std::string& name);

 private:
  /// Updates parameter number `index` from its gradient; called under no-grad, after all checks.
  virtual void update(std::size_t index, const at::Tensor& parameter, const at::Tensor& gradient,
                      double lr) = 0;

  NamedParameters parameters_;
  std::map<std::string, at::Tensor> state_;
  std::vector<std::vector<at::Tensor>> moments_;
  at::Tensor step_;
};

}  // namespace decorr::optim
