#include "decorr/learning/node_perturbation.h"
#include "decorr/learning/weight_perturbation.h"
#include "decorr/nn/recurrent.h"
#include "decorr/nn/resnet.h"
#include "decorr/nn/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/learning/support.h"
#include <functional>

namespace decorr::learning {
namespace {

using testing::HasSubstr;

// Noise so small that the estimate's bias, of order σ² = 1e-8, is far below its standard error.
constexpr double kSigma = 1e-4;
constexpr double kBias = 1e-6;  // bound of the bias, in units of the gradient's norm
// A mean further than this many standard errors from its expectation is an alarm: two-sided
// probability 8e-11 each, so that the few hundred comparisons of this file together raise a false
// alarm with a probability below 1e-6 (normal tails; the skewness of a mean of thousands of
// products adds less than a factor of 3).
constexpr double kAlarm = 6.5;

RuleOptions options_with(const char* variant, bool antithetic, double sigma = kSigma) {
  RuleOptions options;
  options.variant = variant;
  options.antithetic = antithetic;
  options.sigma = sigma;
  options.seed = 5;
  return options;
}

using Gradients = std::vector<at::Tensor>;

Gradients gradients_of(Rule& rule, torch::nn::Module& model, const at::Tensor& x,
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

Sampled sample(Rule& rule, torch::nn::Module& model, const Projections& seen, const at::Tensor& x,
               const at::Tensor& target, int draws) {
  std::vector<at::Tensor> values;
  values.reserve(static_cast<std::size_t>(draws));
  for (int i = 0; i < draws; ++i) values.push_back(seen.of(gradients_of(rule, model, x, target)));
  const at::Tensor all = at::stack(values);
  return {all.mean(0), all.std(0) / std::sqrt(static_cast<double>(draws))};
}

// The largest distance of the mean from what `gradients` would give, in standard errors.
double distance(const Sampled& sampled, const Projections& seen, const Gradients& gradients) {
  double total = 0;
  for (const at::Tensor& g : gradients) total += g.square().sum().item<double>();
  const at::Tensor away = (sampled.mean - seen.of(gradients)).abs() - kBias * std::sqrt(total);
  return (away / sampled.error).max().item<double>();
}

// Trains a little, so that R and μ matter and the gradient is that of no symmetric place.
template <typename Model>
void prepare(Model& model, const at::Tensor& x, const at::Tensor& target) {
  const auto rule = make_rule("backprop", model, Loss("cross-entropy"));
  for (int i = 0; i < 5; ++i) {
    rule->accumulate(x, target);
    nn::descend(*model, 0.1);
    update(*model);
  }
}

// The gradient with x - μ in place of u in every dense layer: ∇W = ∇W_R-folded, that is without Rᵀ.
Gradients with_raw_input(torch::nn::Module& model, const Gradients& exact) {
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
void expect_unbiased(const std::shared_ptr<Model>& model, const at::Tensor& x,
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
at::Tensor classes_of(const at::Tensor& x) {
  const at::Tensor flat = x.flatten(1);
  return (flat.select(1, 0) > 1).to(at::kLong) + 2 * (flat.select(1, 1) > 1).to(at::kLong);
}

TEST(NodePerturbation, EstimatesTheGradientOfDenseLayers) {
  const at::Tensor x = rows(256, 1), target = classes_of(x);
  for (const char* method : {"none", "norm-preserving"})
    for (const char* variant : {"simultaneous", "iterative"})
      for (const bool antithetic : {false, true}) {
        SCOPED_TRACE(testing::Message() << method << ", " << variant << ", " << antithetic);
        expect_unbiased(small_mlp(quick(method)), x, target, "node-perturbation",
                        options_with(variant, antithetic),
                        std::string(variant) == "iterative" ? 400 : 800);
      }
}

TEST(NodePerturbation, EstimatesTheGradientOfConvolutions) {
  const at::Tensor x = pictures(64, 1), target = classes_of(x);
  for (const char* method : {"none", "norm-preserving"}) {
    SCOPED_TRACE(method);
    auto model = std::make_shared<nn::ConvNetImpl>(nn::ConvNetOptions({2, 8, 6}, 4)
                                                       .conv_widths({3, 3})
                                                       .dense_widths({})
                                                       .activation("tanh")
                                                       .decorrelation(nn::everywhere(quick(method)))
                                                       .seed(2));
    model->to(at::kDouble);
    expect_unbiased(model, x, target, "node-perturbation", options_with("simultaneous", false),
                    std::string(method) == "none" ? 4000 : 1500);
  }
}

TEST(WeightPerturbation, EstimatesTheGradient) {
  for (const char* method : {"none", "norm-preserving"})
    for (const bool antithetic : {false, true}) {
      SCOPED_TRACE(testing::Message() << method << ", " << antithetic);
      auto mlp = std::make_shared<nn::MlpImpl>(nn::MlpOptions(6, {3}, 4)
                                                   .activation("tanh")
                                                   .decorrelation(nn::everywhere(quick(method)))
                                                   .seed(2));
      mlp->to(at::kDouble);
      const at::Tensor x = rows(16, 1);
      expect_unbiased(mlp, x, classes_of(x), "weight-perturbation",
                      options_with("simultaneous", antithetic), 12000);
    }
  auto convnet =
      std::make_shared<nn::ConvNetImpl>(nn::ConvNetOptions({2, 4, 4}, 4)
                                            .conv_widths({2, 2})
                                            .dense_widths({})
                                            .activation("tanh")
                                            .decorrelation(nn::everywhere(quick("norm-preserving")))
                                            .seed(2));
  convnet->to(at::kDouble);
  const at::Tensor x = nn::correlated({8, 2, 4, 4}, 1);
  expect_unbiased(convnet, x, classes_of(x), "weight-perturbation",
                  options_with("simultaneous", false), 12000);
}

// The passes of small_mlp() written out; noise on the pre-activations.
struct NaivePass {
  std::vector<at::Tensor> u, a;
};

NaivePass naive_pass(torch::nn::Module& model, const at::Tensor& x,
                     const std::vector<at::Tensor>& noise) {
  const at::NoGradGuard no_grad;
  NaivePass pass;
  at::Tensor h = x;
  for (const auto& located : nn::decorrelated_layers(model)) {
    auto& layer = dynamic_cast<nn::LinearImpl&>(*located.layer);
    at::Tensor u = h;
    if (layer.decorrelator()->active())
      u = at::matmul(h - layer.decorrelator()->running_mean(), layer.decorrelator()->matrix().t());
    pass.u.push_back(u);
    pass.a.push_back(at::matmul(u, layer.weight.t()) + layer.bias);
    if (!noise.empty()) pass.a.back() = pass.a.back() + noise[pass.a.size() - 1];
    h = at::tanh(pass.a.back());
  }
  return pass;
}

at::Tensor naive_losses(const at::Tensor& logits, const at::Tensor& target) {
  return -at::log_softmax(logits, 1).gather(1, target.unsqueeze(1)).squeeze(1);
}

// Each variant in closed form, for the noise that it draws.
TEST(NodePerturbation, EqualsItsClosedForm) {
  for (const char* method : {"none", "norm-preserving", "zca"})
    for (const char* variant : {"simultaneous", "activity-based"})
      for (const bool antithetic : {false, true}) {
        SCOPED_TRACE(testing::Message() << method << ", " << variant << ", " << antithetic);
        const double sigma = 0.1;
        const at::Tensor x = rows(10, 1), target = labels(10, 4, 1);
        const auto model = small_mlp(quick(method));
        prepare(model, x, target);
        NodePerturbation rule(model, Loss("cross-entropy"),
                              options_with(variant, antithetic, sigma));
        gradients_of(rule, *model, x, target);  // so that the draw is not the first
        const Gradients gradients = gradients_of(rule, *model, x, target);

        const NaivePass clean = naive_pass(*model, x, {});
        std::vector<at::Tensor> noise, negative;
        for (std::size_t i = 0; i < clean.a.size(); ++i) {
          noise.push_back(RandomStream(5, "node perturbation")
                              .at(1)
                              .at(i)
                              .normal(clean.a[i].sizes(), kFloat64) *
                          sigma);
          negative.push_back(-noise.back());
        }
        const NaivePass above = naive_pass(*model, x, noise);
        const NaivePass below = antithetic ? naive_pass(*model, x, negative) : clean;
        const double half = antithetic ? 0.5 : 1;
        const at::Tensor change =
            half * (naive_losses(above.a.back(), target) - naive_losses(below.a.back(), target));
        at::Tensor squares = at::zeros({10}, kFloat64);
        for (std::size_t i = 0; i < clean.a.size(); ++i)
          squares += (half * (above.a[i] - below.a[i])).square().sum(1);
        for (std::size_t i = 0; i < clean.a.size(); ++i) {
          const bool activity = std::string(variant) == "activity-based";
          const at::Tensor direction = activity ? half * (above.a[i] - below.a[i]) : noise[i];
          const at::Tensor factor =
              activity ? (8 + 7 + 5 + 4) * change / squares : change / (sigma * sigma);
          const at::Tensor delta = factor.unsqueeze(1) * direction / 10;
          EXPECT_LE(relative_error(gradients[2 * i], at::matmul(delta.t(), clean.u[i])), 1e-10);
          EXPECT_LE(relative_error(gradients[2 * i + 1], delta.sum(0)), 1e-10);
        }
      }
}

// Float32 does not destroy the loss differences at the default σ; at the σ of 1e-6 of the authors'
// code it would.
TEST(NodePerturbation, HasSmallErrorInFloat32) {
  const auto error = [](double sigma) {
    const auto model = [] {
      auto result = std::make_shared<nn::MlpImpl>(
          nn::MlpOptions(64, {100, 100}, 10).decorrelation(nn::everywhere(quick("none"))).seed(2));
      return result;
    };
    const auto single = model(), exact = model();
    exact->to(at::kDouble);
    RuleOptions options;
    if (sigma > 0) options.sigma = sigma;
    const at::Tensor x = nn::correlated({64, 64}, 3) * 0.2, target = labels(64, 10, 3);
    NodePerturbation rough(single, Loss("cross-entropy"), options);
    NodePerturbation fine(exact, Loss("cross-entropy"), options);
    const Gradients a = gradients_of(rough, *single, x.to(at::kFloat), target);
    const Gradients b = gradients_of(fine, *exact, x, target);
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      difference += (a[i].to(at::kDouble) - b[i]).square().sum().item<double>();
      size += b[i].square().sum().item<double>();
    }
    return std::sqrt(difference / size);
  };
  const double at_default = error(0), at_1e6 = error(1e-6);
  RecordProperty("relative_error_at_default_sigma", fmt::format("{:.2e}", at_default));
  RecordProperty("relative_error_at_1e-6", fmt::format("{:.2e}", at_1e6));
  EXPECT_LT(at_default, 2e-3);
  EXPECT_GT(at_1e6, 0.02);
}

// A network that fails where a graph is built, or would be.
class GraphlessImpl : public torch::nn::Module {
 public:
  GraphlessImpl() : inner_(small_mlp(quick("norm-preserving"))) {
    register_module("inner", inner_);
  }
  at::Tensor forward(const at::Tensor& x) {
    EXPECT_FALSE(at::GradMode::is_enabled());
    const at::Tensor y = inner_->forward(x);
    EXPECT_FALSE(y.requires_grad());
    return y;
  }

 private:
  std::shared_ptr<nn::MlpImpl> inner_;
};

TEST(PerturbationRules, BuildNoGraph) {
  const auto model = std::make_shared<GraphlessImpl>();
  for (const char* name : {"node-perturbation", "weight-perturbation"})
    make_rule(name, model, Loss("cross-entropy"))->accumulate(rows(8, 0), labels(8, 4, 0));
}

TEST(PerturbationRules, OnlyTheCleanPassFeedsStatistics) {
  const at::Tensor x = rows(32, 0), target = labels(32, 4, 0);
  for (const char* name : {"node-perturbation", "weight-perturbation"}) {
    SCOPED_TRACE(name);
    RuleOptions options = options_with("iterative", true, 1.0);
    const auto model = small_mlp(quick("norm-preserving"));
    make_rule(name, model, Loss("cross-entropy"), options)->accumulate(x, target);
    update(*model);
    const auto plain = small_mlp(quick("norm-preserving"));
    plain->forward(x);
    update(*plain);
    EXPECT_EQ(nn::difference(*model, *plain), "");
  }
  nn::ResNet18 model(
      nn::ResNet18Options(2, 4).width(4).decorrelation(nn::everywhere(quick("norm-preserving"))));
  const auto twin = std::dynamic_pointer_cast<nn::ResNet18Impl>(model->clone());
  const at::Tensor images = nn::normal({4, 2, 16, 16}, 1).to(at::kFloat);
  make_rule("weight-perturbation", model, Loss("cross-entropy"))
      ->accumulate(images, labels(4, 4, 0));
  twin->forward(images);
  EXPECT_EQ(nn::difference(*model, *twin), "");
}

TEST(NodePerturbation, ServesLayersThatAreCalledSeveralTimes) {
  auto model = std::make_shared<nn::RecurrentImpl>(
      nn::RecurrentOptions({1, 3, 4}, 4).width(3).decorrelation(nn::everywhere(quick("none"))));
  model->to(at::kDouble);
  const at::Tensor x = nn::normal({64, 1, 3, 4}, 1), target = classes_of(x);
  expect_unbiased(model, x, target, "node-perturbation", options_with("simultaneous", false), 3000);
}

TEST(PerturbationRules, RefuseWhatTheyCannotServe) {
  const Loss loss("cross-entropy");
  for (const char* name : {"node-perturbation", "weight-perturbation"})
    for (const double sigma : {0.0, -1.0, std::nan("")})
      EXPECT_THAT(message_of([&] {
                    make_rule(name, small_mlp(quick("none")), loss,
                              options_with("simultaneous", false, sigma));
                  }),
                  HasSubstr("sigma must be finite and greater than 0"));
  EXPECT_THAT(message_of([&] {
                make_rule("node-perturbation", small_mlp(quick("none")), loss,
                          options_with("at once", false));
              }),
              HasSubstr("variant must be one of simultaneous, iterative, activity-based, got"));
  nn::ResNet18 resnet(nn::ResNet18Options(2, 4).width(4));
  EXPECT_THAT(message_of([&] { make_rule("node-perturbation", resnet, loss); }),
              HasSubstr("[node-perturbation] cannot serve stem_norm: batch normalization makes"));
  nn::Transformer transformer(nn::TransformerOptions({1, 4, 4}, 4).width(8).heads(2));
  EXPECT_THAT(message_of([&] { make_rule("node-perturbation", transformer, loss); }),
              HasSubstr("cannot train positions, which belongs to no decorrelated layer"));
  // Classes that the outputs do not have, and outputs that are no logits.
  const auto model = small_mlp(quick("none"));
  for (const char* name : {"node-perturbation", "weight-perturbation"})
    EXPECT_THAT(
        message_of([&] { make_rule(name, model, loss)->accumulate(rows(4, 0), labels(4, 9, 0)); }),
        HasSubstr("[Loss] classes must be in [0, 4)"));
}

}  // namespace
}  // namespace decorr::learning
