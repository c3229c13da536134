#pragma once

#include "decorr/learning/rule.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/learning/support.h"
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

// Whether an estimate of a gradient, drawn many times, has the gradient for its mean.
namespace decorr::learning {

// Noise so small that the estimate's bias, of order σ² = 1e-8, is far below its standard error.
constexpr double kSigma = 1e-4;
constexpr double kBias = 1e-6;  // bound of the bias, in units of the gradient's norm
// A mean further than this many standard errors from its expectation is an alarm: two-sided
// probability 8e-11 each, so that the few hundred comparisons of this file together raise a false
// alarm with a probability below 1e-6 (normal tails; the skewness of a mean of thousands of
// products adds less than a factor of 3).
constexpr double kAlarm = 6.5;

inline RuleOptions options_with(const char* variant, bool antithetic, double sigma = kSigma) {
  RuleOptions options;
  options.variant = variant;
  options.antithetic = antithetic;
  options.sigma = sigma;
  options.seed = 5;
  return options;
}

using Gradients = std::vector<at::Tensor>;

inline Gradients gradients_of(Rule& rule, torch::nn::Module& model, const at::Tensor& x,
                              const at::Tensor& target) {
  rule.accumulate(x, target);
  Gradients result;
  for (const auto& item : take_gradients(model)) result.push_back(item.second);
  return result;
}

// Estimates of a gradient seen in a few directions: for each parameter that of the gradient itself
// and two random ones, and the gradient of all parameters together.
class Projections {
 public:
  explicit Projections(const Gradients& exact) {
    double total = 0;
    for (const at::Tensor& g : exact) total += g.square().sum().item<double>();
    std::vector<at::Tensor> all;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      std::vector<at::Tensor> own{exact[i] / exact[i].norm()};
      for (std::uint64_t j = 0; j < 2; ++j)
        own.push_back(nn::normal(exact[i].sizes(), 100 * i + j));
      own.push_back(exact[i] / std::sqrt(total));
      directions_.push_back(at::stack(own).flatten(1));
    }
  }

  // [3·parameters + 1]
  at::Tensor of(const Gradients& gradients) const {
    std::vector<at::Tensor> values;
    at::Tensor together = at::zeros({1}, kFloat64);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const at::Tensor seen = at::mv(directions_[i], gradients[i].reshape({-1}));
      values.push_back(seen.slice(0, 0, 3));
      together += seen.slice(0, 3, 4);
    }
    values.push_back(together);
    return at::cat(values);
  }

 private:
  std::vector<at::Tensor> directions_;
};

// The means of `draws` estimates in all directions, and their standard errors.
struct Sampled {
  at::Tensor mean, error;
};

inline Sampled sample(Rule& rule, torch::nn::Module& model, const Projections& seen,
                      const at::Tensor& x, const at::Tensor& target, int draws) {
  std::vector<at::Tensor> values;
  values.reserve(static_cast<std::size_t>(draws));
  for (int i = 0; i < draws; ++i) values.push_back(seen.of(gradients_of(rule, model, x, target)));
  const at::Tensor all = at::stack(values);
  return {all.mean(0), all.std(0) / std::sqrt(static_cast<double>(draws))};
}

// The largest distance of the mean from what `gradients` would give, in standard errors.
inline double distance(const Sampled& sampled, const Projections& seen,
                       const Gradients& gradients) {
  double total = 0;
  for (const at::Tensor& g : gradients) total += g.square().sum().item<double>();
  const at::Tensor away = (sampled.mean - seen.of(gradients)).abs() - kBias * std::sqrt(total);
  return (away / sampled.error).max().item<double>();
}

// Trains a little, so that R and μ matter and the gradient is that of no symmetric place.
template <typename Model>
inline void prepare(Model& model, const at::Tensor& x, const at::Tensor& target) {
  const auto rule = make_rule("backprop", model, Loss("cross-entropy"));
  for (int i = 0; i < 5; ++i) {
    rule->accumulate(x, target);
    nn::descend(*model, 0.1);
    update(*model);
  }
}

// The gradient with x - μ in place of u in every dense layer: ∇W = ∇W_R-folded, that is without Rᵀ.
inline Gradients with_raw_input(torch::nn::Module& model, const Gradients& exact) {
  Gradients wrong = exact;
  const auto parameters = model.named_parameters();
  for (const auto& located : nn::decorrelated_layers(model)) {
    if (!located.layer->decorrelator()->active()) continue;
    for (std::size_t i = 0; i < exact.size(); ++i)
      if (parameters.keys()[i] == located.path + ".weight")
        wrong[i] = at::matmul(exact[i].flatten(1),
                              at::inverse(located.layer->decorrelator()->matrix()).t())
                       .view_as(exact[i]);
  }
  return wrong;
}

template <typename Model>
inline void expect_unbiased(const std::shared_ptr<Model>& model, const at::Tensor& x,
                            const at::Tensor& target, const char* name, const RuleOptions& options,
                            int draws) {
  const Loss loss("cross-entropy");
  prepare(model, x, target);
  const auto backprop = make_rule("backprop", model, loss);
  const Gradients exact = gradients_of(*backprop, *model, x, target);
  const Projections seen(exact);
  const auto rule = make_rule(name, model, loss, options);
  const Sampled sampled = sample(*rule, *model, seen, x, target, draws);
  EXPECT_LE(distance(sampled, seen, exact), kAlarm);
  Gradients scaled;
  for (const at::Tensor& g : exact) scaled.push_back(1.1 * g);
  EXPECT_GT(distance(sampled, seen, scaled), kAlarm);
  bool decorrelates = false;
  for (const auto& located : nn::decorrelated_layers(*model))
    decorrelates = decorrelates || located.layer->decorrelator()->active();
  if (decorrelates) {
    EXPECT_GT(distance(sampled, seen, with_raw_input(*model, exact)), kAlarm);
  }
}

// Classes that the inputs tell, so that the gradients of the samples have much in common.
inline at::Tensor classes_of(const at::Tensor& x) {
  const at::Tensor flat = x.flatten(1);
  return (flat.select(1, 0) > 1).to(at::kLong) + 2 * (flat.select(1, 1) > 1).to(at::kLong);
}

}  // namespace decorr::learning
