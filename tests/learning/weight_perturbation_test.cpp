#include "decorr/learning/weight_perturbation.h"

#include <gtest/gtest.h>

#include "tests/learning/support.h"
#include "tests/learning/unbiased.h"

namespace decorr::learning {
namespace {

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

TEST(WeightPerturbation, EqualsItsClosedForm) {
  for (const bool antithetic : {false, true}) {
    SCOPED_TRACE(antithetic);
    const double sigma = 0.1;
    const auto model = small_mlp(quick("norm-preserving"));
    const at::Tensor x = rows(10, 1), target = labels(10, 4, 1);
    const Loss loss("cross-entropy");
    prepare(model, x, target);
    WeightPerturbation rule(model, loss, options_with("simultaneous", antithetic, sigma));
    const auto before = nn::state_of(*model);
    gradients_of(rule, *model, x, target);  // so that the draw is not the first
    const Gradients gradients = gradients_of(rule, *model, x, target);
    EXPECT_TRUE(at::equal(model->parameters()[0], before[0].second));

    const auto other = small_mlp(quick("norm-preserving"));
    std::vector<at::Tensor> noise;
    const auto loss_at = [&](double sign) {
      const at::NoGradGuard no_grad;
      nn::copy_state(*model, *other);
      for (std::size_t i = 0; i < noise.size(); ++i) other->parameters()[i].add_(noise[i], sign);
      other->eval();
      return loss(other->forward(x), target).item<double>();
    };
    const double clean = loss_at(0);
    for (std::size_t i = 0; i < gradients.size(); ++i)
      noise.push_back(RandomStream(5, "weight perturbation")
                          .at(1)
                          .at(i)
                          .normal(gradients[i].sizes(), kFloat64) *
                      sigma);
    const double change = antithetic ? (loss_at(1) - loss_at(-1)) / 2 : loss_at(1) - clean;
    for (std::size_t i = 0; i < gradients.size(); ++i)
      EXPECT_LE(relative_error(gradients[i], noise[i] * (change / (sigma * sigma))), 1e-10) << i;
  }
}

// A layer that is registered twice.
class TwiceImpl : public torch::nn::Module {
 public:
  TwiceImpl() : layer_(nn::LinearOptions(4, 4).decorrelation(quick("none"))) {
    register_module("first", layer_);
    register_module("second", layer_);
    layer_->to(at::kDouble);
  }
  at::Tensor forward(const at::Tensor& x) { return layer_->forward(at::tanh(layer_->forward(x))); }

 private:
  nn::Linear layer_;
};

TEST(WeightPerturbation, DrawsOnceForASharedParameter) {
  const auto model = std::make_shared<TwiceImpl>();
  const at::Tensor x = nn::normal({16, 4}, 1), target = labels(16, 4, 1);
  make_rule("backprop", model, Loss("cross-entropy"))->accumulate(x, target);
  std::vector<at::Tensor> exact;
  for (const auto& item : take_gradients(*model))
    if (item.first.rfind("first", 0) == 0) exact.push_back(item.second);
  WeightPerturbation rule(model, Loss("cross-entropy"), options_with("simultaneous", false));
  rule.accumulate(x, target);
  std::vector<at::Tensor> drawn;
  for (const auto& item : take_gradients(*model))
    if (item.first.rfind("first", 0) == 0) drawn.push_back(item.second);
  // The estimate is <g, Ξ>·Ξ/σ², so that <estimate, g> = <estimate, Ξ>²σ²/‖Ξ‖⁴: twice the noise
  // would give twice that.
  double with_gradient = 0, size = 0, noise = 0;
  const RandomStream stream = RandomStream(5, "weight perturbation").at(0);
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const at::Tensor xi = stream.at(i).normal(drawn[i].sizes(), kFloat64);
    with_gradient += (exact[i] * xi).sum().item<double>();
    size += (drawn[i] * xi).sum().item<double>();
    noise += xi.square().sum().item<double>();
  }
  EXPECT_NEAR(size / noise, with_gradient, 1e-2 * std::abs(with_gradient));
}

}  // namespace
}  // namespace decorr::learning
