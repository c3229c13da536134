#include "decorr/learning/weight_perturbation.h"

#include "decorr/core/check.h"
#include "decorr/learning/layers.h"
#include "decorr/nn/decorrelated_layer.h"
#include "decorr/nn/scopes.h"

#include <ATen/ATen.h>

#include <set>
#include <utility>

namespace decorr::learning {
namespace {

// Other numbers in the parameters until the end of the scope; then their own tensors come back.
class Exchanged {
 public:
  explicit Exchanged(const std::vector<at::Tensor>& parameters) : parameters_(parameters) {
    for (const at::Tensor& parameter : parameters) own_.push_back(parameter.detach());
  }
  ~Exchanged() {
    for (std::size_t i = 0; i < own_.size(); ++i) at::Tensor(parameters_[i]).set_data(own_[i]);
  }
  Exchanged(const Exchanged&) = delete;
  Exchanged& operator=(const Exchanged&) = delete;

 private:
  const std::vector<at::Tensor>& parameters_;
  std::vector<at::Tensor> own_;
};

}  // namespace

WeightPerturbation::WeightPerturbation(Network network, Loss loss, const RuleOptions& options)
    : network_(std::move(network)),
      loss_(std::move(loss)),
      options_(options),
      random_(options.seed, "weight perturbation"),
      batches_(at::zeros({}, at::kLong)) {
  options_.validate();
  std::set<const at::TensorImpl*> seen;  // a shared parameter occurs more than once
  for (const at::Tensor& parameter : network_.module->parameters())
    if (parameter.requires_grad() && seen.insert(parameter.unsafeGetTensorImpl()).second)
      parameters_.push_back(parameter);
  check_argument(!parameters_.empty(),
                 "[weight-perturbation] the network has no parameter that requires grad");
}

// The logits with the parameters at θ + sign·Ξ.
at::Tensor WeightPerturbation::perturbed(const at::Tensor& input,
                                         const std::vector<at::Tensor>& noise, double sign) {
  const Exchanged scope(parameters_);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].set_data(at::add(parameters_[i].detach(), noise[i], sign));
  return network_.forward(input);
}

BatchResult WeightPerturbation::accumulate(const at::Tensor& input, const at::Tensor& target,
                                           double weight) {
  const at::NoGradGuard no_grad;
  check_precise(network_, "weight-perturbation");
  const RandomStream draw = random_.at(static_cast<std::uint64_t>(batches_.item<std::int64_t>()));
  batches_.add_(1);
  nn::ReplayedDraws draws(*network_.module);  // the same dropout in every pass
  const at::Tensor clean = network_.forward(input);
  const at::Tensor loss = loss_(clean, target);

  std::vector<at::Tensor> noise;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    noise.push_back(
        draw.at(i)
            .normal(parameters_[i].sizes(), parameters_[i].options().requires_grad(false))
            .mul_(options_.sigma));
  const nn::NoStatistics no_statistics(*network_.module);
  const auto pass = [&](double sign) {
    draws.rewind();
    return perturbed(input, noise, sign);
  };
  const at::Tensor above = pass(1);
  const at::Tensor from = options_.antithetic ? pass(-1) : clean;
  const double change = loss_.difference(from, above, target).mean().item<double>();
  const double factor =
      weight * (options_.antithetic ? 0.5 : 1) * change / (options_.sigma * options_.sigma);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    nn::add_gradient(parameters_[i], noise[i].mul_(factor));
  return {loss, clean};
}

}  // namespace decorr::learning
