#include "decorr/optim/optimizer.h"

#include "decorr/optim/adam.h"
#include "decorr/optim/sgd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/optim/support.h"
#include <cmath>
#include <limits>
#include <stdexcept>

namespace decorr::optim {
namespace {

using ::testing::HasSubstr;
using testing::make_gradient;
using testing::make_parameter;
using testing::run;
using testing::same_bits;
using testing::set_gradients;
using ::testing::ThrowsMessage;

template <typename Function>
void expect_refused(Function function, const std::string& message) {
  EXPECT_THAT(function, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
}

void expect_parameters_refused(NamedParameters parameters, const std::string& message) {
  expect_refused([&] { const Sgd optimizer(parameters); }, message);
}

NamedParameters two_parameters() {
  return {{"a", make_parameter({5, 3}, at::kFloat)}, {"b", make_parameter({4}, at::kFloat, 5)}};
}

std::map<std::string, at::Tensor> everything(const Optimizer& optimizer) {
  auto all = optimizer.state_dict();
  for (const auto& [name, parameter] : optimizer.parameters())
    all.emplace("parameter " + name, parameter.detach().clone());
  return all;
}

void expect_unchanged(const Optimizer& optimizer, const std::map<std::string, at::Tensor>& before) {
  for (const auto& [key, tensor] : everything(optimizer))
    EXPECT_TRUE(same_bits(tensor, before.at(key))) << key;
}

TEST(Optimizer, RefusesUnfitParameters) {
  const at::Tensor p = make_parameter({3}, at::kFloat);
  expect_parameters_refused({}, "no parameters");
  expect_parameters_refused({{"", p}}, "empty name");
  expect_parameters_refused({{"p", at::Tensor()}}, "parameter p is undefined");
  expect_parameters_refused({{"p", p}, {"p", make_parameter({3}, at::kFloat)}},
                            "name p occurs twice");
  expect_parameters_refused({{"p", p}, {"q", p}}, "p and q are the same tensor");
  expect_parameters_refused({{"p", p}, {"q", p.detach().requires_grad_()}},
                            "p and q are the same tensor");
  expect_parameters_refused({{"p", at::zeros({3})}}, "p does not require grad");
  expect_parameters_refused({{"p", p * 2}}, "p is not a leaf");
  expect_parameters_refused({{"p", at::zeros({3}, at::kHalf).requires_grad_()}},
                            "p must be float32 or float64, got Half");
  expect_parameters_refused({{"p", at::zeros({1}).expand({3}).requires_grad_()}}, "expanded view");
  expect_parameters_refused({{"p", at::zeros({3}).to_sparse().requires_grad_()}}, "must be dense");
}

TEST(Optimizer, RefusesUnfitRates) {
  Sgd optimizer(two_parameters());
  set_gradients(optimizer, 0);
  const auto before = everything(optimizer);
  for (const double lr : {-1e-3, std::nan(""), std::numeric_limits<double>::infinity()})
    expect_refused([&] { optimizer.step(lr); }, "learning rate must be finite and >= 0");
  expect_unchanged(optimizer, before);
}

TEST(Optimizer, RefusesAStepWithoutAnyGradient) {
  Adam optimizer(two_parameters());
  expect_refused([&] { optimizer.step(0.1); }, "none of the 2 parameters has a gradient");
  EXPECT_EQ(optimizer.steps(), 0);
}

TEST(Optimizer, RefusesUnfitGradientsBeforeAnythingChanges) {
  Adam optimizer(two_parameters());
  run(optimizer, 0, 2);
  const auto before = everything(optimizer);
  const at::Tensor& last = optimizer.parameters()[1].second;
  last.mutable_grad() = at::zeros({3});
  expect_refused([&] { optimizer.step(0.1); }, "gradient of b must have shape [4], got [3]");
  last.mutable_grad() = at::zeros({4}, at::kDouble);
  expect_refused([&] { optimizer.step(0.1); }, "gradient of b must be Float, got Double");
  last.mutable_grad() = at::zeros({4}).to_sparse();
  expect_refused([&] { optimizer.step(0.1); }, "gradient of b must be dense");
  last.mutable_grad() = at::empty({4}, at::device(at::kMeta));
  expect_refused([&] { optimizer.step(0.1); }, "gradient of b must be on cpu, got meta");
  expect_unchanged(optimizer, before);
}

TEST(Optimizer, RefusesAParameterThatChangedForm) {
  Adam optimizer(two_parameters());
  at::Tensor parameter = optimizer.parameters()[0].second;
  parameter.set_data(at::zeros({7, 3}));
  parameter.mutable_grad() = at::ones({7, 3});
  expect_refused([&] { optimizer.step(0.1); }, "parameter a has changed shape");
}

TEST(Optimizer, SkipsAParameterWithoutGradient) {
  Adam optimizer(two_parameters());
  run(optimizer, 0, 2);
  const auto before = everything(optimizer);
  set_gradients(optimizer, 2);
  optimizer.parameters()[1].second.mutable_grad() = at::Tensor();
  optimizer.step(0.1);
  const auto after = everything(optimizer);
  EXPECT_EQ(optimizer.steps(), 3);
  for (const char* key : {"parameter b", "b.exp_avg", "b.exp_avg_sq", "b.step"})
    EXPECT_TRUE(same_bits(after.at(key), before.at(key))) << key;
  for (const char* key : {"parameter a", "a.exp_avg", "a.exp_avg_sq", "a.step"})
    EXPECT_FALSE(same_bits(after.at(key), before.at(key))) << key;
}

TEST(Optimizer, TakesGradientsFromBackward) {
  const at::Tensor p = at::tensor({1.0, -2.0}, at::kDouble).requires_grad_();
  Sgd optimizer({{"p", p}});
  (p * p).sum().backward();
  optimizer.step(0.25);
  EXPECT_DOUBLE_EQ(p[0].item<double>(), 0.5);
  EXPECT_DOUBLE_EQ(p[1].item<double>(), -1.0);
  EXPECT_TRUE(p.requires_grad());
  EXPECT_TRUE(p.is_leaf());
}

TEST(Optimizer, StaleGraphIsAnError) {
  const at::Tensor p = make_parameter({4}, at::kFloat);
  Adam optimizer({{"p", p}});
  const at::Tensor loss = (p * p).sum();
  p.mutable_grad() = at::ones({4});
  optimizer.step(0.1);
  EXPECT_THROW(loss.backward(), c10::Error);
}

TEST(Optimizer, ZeroGradDropsGradients) {
  Sgd optimizer(two_parameters());
  set_gradients(optimizer, 0);
  optimizer.zero_grad();
  for (const auto& [name, parameter] : optimizer.parameters())
    EXPECT_FALSE(parameter.grad().defined()) << name;
}

TEST(Optimizer, AcceptsEmptyParameters) {
  Adam optimizer({{"none", at::zeros({0, 3}).requires_grad_()},
                  {"nothing", at::zeros({0}).requires_grad_()},
                  {"p", make_parameter({3}, at::kFloat)}});
  run(optimizer, 0, 2);
  EXPECT_EQ(optimizer.steps(), 2);
}

TEST(Optimizer, NamesItsState) {
  Adam adam(two_parameters());
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : adam.state_dict()) keys.push_back(key);
  EXPECT_THAT(keys, ::testing::UnorderedElementsAre("step", "a.exp_avg", "a.exp_avg_sq", "a.step",
                                                    "b.exp_avg", "b.exp_avg_sq", "b.step"));
  run(adam, 0, 3);
  const at::Tensor step = adam.state_dict().at("step");
  EXPECT_EQ(step.scalar_type(), at::kLong);
  EXPECT_EQ(step.dim(), 0);
  EXPECT_EQ(step.item<std::int64_t>(), 3);
  EXPECT_EQ(Sgd(two_parameters()).state_dict().size(), 1U);
  EXPECT_EQ(
      Sgd(two_parameters(), SgdOptions().momentum(0.9)).state_dict().count("b.momentum_buffer"),
      1U);
}

TEST(Optimizer, StateDictIsACopy) {
  Adam optimizer(two_parameters());
  run(optimizer, 0, 1);
  const auto before = everything(optimizer);
  for (auto& [key, tensor] : optimizer.state_dict()) tensor.fill_(7);
  expect_unchanged(optimizer, before);
}

TEST(Optimizer, RefusesUnfitStateAndKeepsItsOwn) {
  Adam optimizer(two_parameters());
  run(optimizer, 0, 2);
  const auto before = everything(optimizer);
  Adam other(two_parameters());
  run(other, 0, 4);
  const auto good = other.state_dict();

  const auto expect_bad = [&](const std::string& key, const at::Tensor& value,
                              const std::string& message) {
    auto bad = good;
    bad[key] = value;
    expect_refused([&] { optimizer.load_state_dict(bad); }, message);
  };
  expect_bad("c.exp_avg", at::zeros({4}), "state c.exp_avg is unknown");
  expect_bad("b.exp_avg", at::zeros({5}), "state b.exp_avg must have shape [4], got [5]");
  expect_bad("b.exp_avg", at::zeros({4}, at::kDouble), "state b.exp_avg must be Float, got Double");
  expect_bad("b.exp_avg", at::Tensor(), "state b.exp_avg is undefined");
  expect_bad("b.exp_avg", at::zeros({4}).to_sparse(), "state b.exp_avg must be dense");
  expect_bad("step", at::zeros({1}, at::kLong), "state step must have shape [], got [1]");
  expect_bad("step", at::full({}, -1, at::kLong), "state step counts updates");
  for (const char* key : {"step", "b.exp_avg_sq", "b.step"}) {
    auto bad = good;
    bad.erase(key);
    expect_refused([&] { optimizer.load_state_dict(bad); },
                   "state " + std::string(key) + " is missing");
  }
  expect_unchanged(optimizer, before);
}

TEST(Optimizer, LoadsStateInPlace) {
  Adam source(two_parameters());
  run(source, 0, 4);
  auto state = source.state_dict();
  Adam target(two_parameters());
  target.load_state_dict(state);
  for (auto& [key, tensor] : state) tensor.fill_(9);  // must not reach into the optimizer
  const auto expected = source.state_dict();
  for (const auto& [key, tensor] : target.state_dict())
    EXPECT_TRUE(same_bits(tensor, expected.at(key))) << key;
}

}  // namespace
}  // namespace decorr::optim
