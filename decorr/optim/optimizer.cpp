#include "decorr/optim/optimizer.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <cmath>
#include <set>

namespace decorr::optim {
namespace {

bool is_expanded(const at::Tensor& tensor) {
  for (std::int64_t d = 0; d < tensor.dim(); ++d)
    if (tensor.size(d) > 1 && tensor.stride(d) == 0) return true;
  return false;
}

bool has_form_of(const at::Tensor& moment, const at::Tensor& parameter) {
  return moment.sizes() == parameter.sizes() && moment.scalar_type() == parameter.scalar_type() &&
         moment.device() == parameter.device();
}

void check_parameter(const std::string& name, const at::Tensor& parameter) {
  check_argument(!name.empty(), "[Optimizer] a parameter has an empty name");
  check_argument(parameter.defined(), "[Optimizer] parameter {} is undefined", name);
  check_argument(parameter.layout() == at::kStrided,
                 "[Optimizer] parameter {} must be dense, got a sparse tensor", name);
  check_argument(parameter.scalar_type() == at::kFloat || parameter.scalar_type() == at::kDouble,
                 "[Optimizer] parameter {} must be float32 or float64, got {}", name,
                 c10::toString(parameter.scalar_type()));
  check_argument(parameter.requires_grad(),
                 "[Optimizer] parameter {} does not require grad: leave frozen parameters out",
                 name);
  check_argument(parameter.is_leaf(),
                 "[Optimizer] parameter {} is not a leaf: it is computed from other tensors and "
                 "receives no gradient",
                 name);
  check_argument(!is_expanded(parameter),
                 "[Optimizer] parameter {} is an expanded view whose elements share memory: pass "
                 "a contiguous copy",
                 name);
}

void check_gradient(const std::string& name, const at::Tensor& parameter, const at::Tensor& grad) {
  check_argument(grad.layout() == at::kStrided,
                 "[Optimizer] gradient of {} must be dense, got a sparse tensor", name);
  check_argument(grad.sizes() == parameter.sizes(),
                 "[Optimizer] gradient of {} must have shape {}, got {}", name, parameter.sizes(),
                 grad.sizes());
  check_argument(grad.scalar_type() == parameter.scalar_type(),
                 "[Optimizer] gradient of {} must be {}, got {}", name,
                 c10::toString(parameter.scalar_type()), c10::toString(grad.scalar_type()));
  check_argument(grad.device() == parameter.device(),
                 "[Optimizer] gradient of {} must be on {}, got {}", name, parameter.device().str(),
                 grad.device().str());
}

void check_state(const std::string& key, const at::Tensor& own, const at::Tensor& loaded) {
  check_argument(loaded.defined(), "[Optimizer] state {} is undefined", key);
  check_argument(loaded.layout() == at::kStrided,
                 "[Optimizer] state {} must be dense, got a sparse tensor", key);
  check_argument(loaded.sizes() == own.sizes(), "[Optimizer] state {} must have shape {}, got {}",
                 key, own.sizes(), loaded.sizes());
  check_argument(loaded.scalar_type() == own.scalar_type(),
                 "[Optimizer] state {} must be {}, got {}", key, c10::toString(own.scalar_type()),
                 c10::toString(loaded.scalar_type()));
  if (own.scalar_type() == at::kLong) {
    const auto count = loaded.item<std::int64_t>();
    check_argument(count >= 0, "[Optimizer] state {} counts updates and must be >= 0, got {}", key,
                   count);
  }
}

}  // namespace

NamedParameters named_parameters(const torch::nn::Module& module) {
  NamedParameters result;
  for (const auto& item : module.named_parameters()) result.emplace_back(item.key(), item.value());
  return result;
}

Optimizer::Optimizer(NamedParameters parameters)
    : parameters_(std::move(parameters)), step_(at::zeros({}, at::kLong)) {
  check_argument(!parameters_.empty(), "[Optimizer] there are no parameters to optimize");
  std::set<std::string> names;
  std::map<const void*, std::string> seen;
  for (const auto& [name, parameter] : parameters_) {
    check_parameter(name, parameter);
    check_argument(names.insert(name).second, "[Optimizer] parameter name {} occurs twice", name);
    // An empty tensor has no memory to be told apart by.
    const void* identity = parameter.numel() > 0
                               ? parameter.data_ptr()
                               : static_cast<const void*>(parameter.unsafeGetTensorImpl());
    const auto [entry, is_new] = seen.emplace(identity, name);
    check_argument(is_new,
                   "[Optimizer] parameters {} and {} are the same tensor: pass a shared parameter "
                   "once",
                   entry->second, name);
  }
  state_.emplace("step", step_);
}

void Optimizer::step(double lr) {
  check_argument(std::isfinite(lr) && lr >= 0,
                 "[Optimizer] learning rate must be finite and >= 0, got {}", lr);
  bool any = false;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    if (!parameter.grad().defined()) continue;
    check_gradient(name, parameter, parameter.grad());
    for (const auto& moments : moments_)
      check_argument(has_form_of(moments[i], parameter),
                     "[Optimizer] parameter {} has changed shape, type or device since the "
                     "optimizer was built: change the model first, then build the optimizer",
                     name);
    any = true;
  }
  check_argument(any,
                 "[Optimizer] none of the {} parameters has a gradient: run backward() before "
                 "step()",
                 parameters_.size());
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].second;
    if (parameter.grad().defined()) update(i, parameter, parameter.grad(), lr);
  }
  step_.add_(1);
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad() = at::Tensor();
}

std::int64_t Optimizer::steps() const { return step_.item<std::int64_t>(); }

std::map<std::string, at::Tensor> Optimizer::state_dict() const {
  std::map<std::string, at::Tensor> copies;
  for (const auto& [key, tensor] : state_)
    copies.emplace(key, tensor.clone(at::MemoryFormat::Contiguous));
  return copies;
}

void Optimizer::load_state_dict(const std::map<std::string, at::Tensor>& state) {
  for (const auto& [key, tensor] : state)
    check_argument(state_.count(key) > 0, "[Optimizer] state {} is unknown to this optimizer", key);
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [key, own] : state_) {
    const auto entry = state.find(key);
    check_argument(entry != state.end(), "[Optimizer] state {} is missing", key);
    check_state(key, own, entry->second);
    copies.emplace_back(own, entry->second.to(own.device()));
  }
  const at::NoGradGuard no_grad;
  for (auto& [own, loaded] : copies) own.copy_(loaded);
}

std::vector<at::Tensor> Optimizer::first_moments(const at::Tensor& parameter) const {
  for (std::size_t i = 0; i < parameters_.size() && !moments_.empty(); ++i)
    if (parameters_[i].second.data_ptr() == parameter.data_ptr()) return {moments_.front()[i]};
  return {};
}

void Optimizer::reset_moments(const at::Tensor& parameter) {
  for (const auto& [name, own] : parameters_) {
    if (own.data_ptr() != parameter.data_ptr()) continue;
    for (auto& [key, state] : state_)
      if (key.compare(0, name.size() + 1, name + ".") == 0) state.zero_();
  }
}

std::vector<at::Tensor> Optimizer::add_moments(const std::string& name) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> moments;
  for (const auto& [parameter_name, parameter] : parameters_) {
    moments.push_back(at::zeros_like(parameter));
    state_.emplace(parameter_name + "." + name, moments.back());
  }
  moments_.push_back(moments);
  return moments;
}

std::vector<at::Tensor> Optimizer::add_counts(const std::string& name) {
  std::vector<at::Tensor> counts;
  for (const auto& [parameter_name, parameter] : parameters_) {
    counts.push_back(at::zeros({}, at::kLong));
    state_.emplace(parameter_name + "." + name, counts.back());
  }
  return counts;
}

}  // namespace decorr::optim
