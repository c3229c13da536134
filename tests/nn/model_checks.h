#pragma once

#include "decorr/nn/model.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"

#include <gtest/gtest.h>

#include "tests/nn/support.h"
#include <memory>
#include <string>
#include <vector>

// What every model must do, whatever it is built of.
namespace decorr::nn {

/// Images [N, C, H, W] in float64 whose pixels are correlated along each row.
inline at::Tensor images(at::IntArrayRef sizes, std::uint64_t stream) {
  return correlated(sizes, stream);
}

inline whitening::DecorrelatorOptions method(const std::string& name) {
  whitening::DecorrelatorOptions options;
  options.update_every = 1;
  options.method = name;
  return options;
}

inline std::vector<std::string> layer_paths(torch::nn::Module& model) {
  std::vector<std::string> paths;
  for (const LocatedLayer& located : decorrelated_layers(model)) paths.push_back(located.path);
  return paths;
}

/// The cross-entropy of `model` on `x` with the classes 0, 1, 2, 0, …
inline at::Tensor loss_on(Model& model, const at::Tensor& x) {
  return at::cross_entropy_loss(model.forward(x), at::arange(x.size(0), at::kLong).remainder(3));
}

/// A step of gradient descent on `x`, and the update of the layers.
inline double train_on(Model& model, const at::Tensor& x, double lr = 0.05) {
  const at::Tensor loss = loss_on(model, x);
  loss.backward();
  descend(model, lr);
  update(model);
  return loss.item<double>();
}

inline at::Tensor evaluate(Model& model, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  model.eval();
  const at::Tensor output = model.forward(x);
  model.train();
  return output;
}

/// After `steps` steps on `x` every parameter of `model` has a gradient that is not zero.
inline void expect_gradients_everywhere(Model& model, const at::Tensor& x, int steps = 0) {
  for (int i = 0; i < steps; ++i) train_on(model, x);
  loss_on(model, x).backward();
  for (const auto& item : model.named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
  }
}

/// Gradients agree with central differences of the loss, in a few entries of each parameter. Not
/// for models with kinks, such as those of a ReLU.
inline void expect_gradients_of_the_loss(Model& model, const at::Tensor& x) {
  loss_on(model, x).backward();
  const at::NoGradGuard no_grad;
  const double h = 1e-5;
  for (const auto& item : model.named_parameters()) {
    const at::Tensor entries = item.value().view(-1);
    for (std::int64_t i = 0; i < entries.size(0); i += entries.size(0) / 2 + 1) {
      const double kept = entries[i].item<double>();
      entries[i] = kept + h;
      const double above = loss_on(model, x).item<double>();
      entries[i] = kept - h;
      const double below = loss_on(model, x).item<double>();
      entries[i] = kept;
      EXPECT_NEAR(item.value().grad().view(-1)[i].item<double>(), (above - below) / (2 * h), 1e-7)
          << item.key() << "[" << i << "]";
    }
  }
}

/// Updates change R of every layer, and not what `model` (float64, running means) computes.
inline void expect_updates_preserve_the_function(Model& model, const at::Tensor& x) {
  for (int step = 0; step < 3; ++step) {
    loss_on(model, x).backward();
    descend(model, 0.05);
    const at::Tensor before = evaluate(model, x);
    std::vector<at::Tensor> matrices;
    for (const LocatedLayer& located : decorrelated_layers(model))
      matrices.push_back(located.layer->decorrelator()->matrix().clone());
    std::size_t index = 0;
    for (const LayerUpdate& item : update(model)) {
      EXPECT_EQ(item.report.outcome, whitening::UpdateReport::Outcome::kApplied) << item.path;
      whitening::Decorrelator& decorrelator =
          decorrelated_layers(model)[index].layer->decorrelator();
      EXPECT_GT(max_error(decorrelator->matrix(), matrices[index]), 1e-6) << item.path;
      ++index;
    }
    EXPECT_LE(max_error(evaluate(model, x), before), 1e-10) << "step " << step;
  }
}

/// 20 steps of Adam on `x` halve the loss.
inline void expect_learns(Model& model, const at::Tensor& x) {
  optim::Adam adam(optim::named_parameters(model), optim::AdamOptions());
  const double first = loss_on(model, x).item<double>();
  for (int i = 0; i < 20; ++i) {
    loss_on(model, x).backward();
    adam.step(0.01);
    adam.zero_grad();
    update(model, adam);
  }
  EXPECT_LT(loss_on(model, x).item<double>(), 0.5 * first);
}

/// A clone computes the same, stays as it is while `model` trains, and trains as it did.
inline void expect_clone_is_independent(Model& model, const at::Tensor& x) {
  train_on(model, x);
  const auto clone = std::dynamic_pointer_cast<Model>(model.clone());
  ASSERT_TRUE(clone);
  EXPECT_EQ(difference(model, *clone), "");
  const at::Tensor before = evaluate(model, x);
  EXPECT_TRUE(at::equal(evaluate(*clone, x), before));
  train_on(model, x);
  EXPECT_FALSE(at::equal(evaluate(model, x), before));
  EXPECT_TRUE(at::equal(evaluate(*clone, x), before));
  train_on(*clone, x);
  EXPECT_EQ(difference(model, *clone), "");
  EXPECT_TRUE(at::equal(evaluate(*clone, x), evaluate(model, x)));
}

/// The state of `model`, trained on `x`, put into `fresh` takes the same next steps.
inline void expect_restored_state_goes_on(Model& model, Model& fresh, const at::Tensor& x) {
  for (int i = 0; i < 2; ++i) train_on(model, x);
  copy_state(model, fresh);
  for (int i = 0; i < 2; ++i) {
    train_on(model, x);
    train_on(fresh, x);
  }
  EXPECT_EQ(difference(model, fresh), "");
}

/// with_decorrelation() gives the same parameters, by name and shape, and the new plan.
inline void expect_rebuilds_with_another_plan(Model& model) {
  const std::shared_ptr<Model> plain = model.with_decorrelation(everywhere(method("none")));
  const auto ours = model.named_parameters();
  const auto theirs = plain->named_parameters();
  ASSERT_EQ(ours.keys(), theirs.keys());
  for (const auto& item : ours) EXPECT_EQ(theirs[item.key()].sizes(), item.value().sizes());
  EXPECT_EQ(layer_paths(*plain), layer_paths(model));
  for (const LocatedLayer& located : decorrelated_layers(*plain))
    EXPECT_FALSE(located.layer->decorrelator()->active()) << located.path;
  for (const LocatedLayer& located : decorrelated_layers(model))
    EXPECT_TRUE(located.layer->decorrelator()->active()) << located.path;
}

}  // namespace decorr::nn
