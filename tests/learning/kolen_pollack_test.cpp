#include "decorr/learning/kolen_pollack.h"

#include "decorr/optim/sgd.h"

#include <gtest/gtest.h>

#include "tests/learning/support.h"

namespace decorr::learning {
namespace {

TEST(KolenPollack, WithDecayFeedbackConvergesToTheWeights) {
  const auto model = small_mlp(quick("norm-preserving"));
  KolenPollack rule(model, Loss("cross-entropy"), {}, rows(24, 0));
  optim::Sgd sgd(optim::named_parameters(*model), optim::SgdOptions().weight_decay(0.5));
  const auto distance = [&] {
    double sum = 0;
    for (const auto& located : nn::decorrelated_layers(*model))
      if (const at::Tensor b = rule.feedback(located.path); b.defined())
        sum += (located.layer->from_input(b) - located.layer->from_input(located.layer->weights()))
                   .square()
                   .sum()
                   .item<double>();
    return std::sqrt(sum);
  };
  const double first = distance();
  for (std::uint64_t i = 0; i < 20; ++i) {
    rule.accumulate(rows(24, i), labels(24, 4, i));
    rule.step(sgd, 0.1);
    sgd.zero_grad();
    update(*model, sgd);
  }
  EXPECT_NEAR(distance() / first, std::pow(1 - 0.1 * 0.5, 20), 1e-10);
}

}  // namespace
}  // namespace decorr::learning
