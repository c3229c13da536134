// A training loop of one's own with every learning rule, on made-up data.
#include "decorr/core/random.h"
#include "decorr/learning/rule.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/types.h>

int main() {
  const decorr::RandomStream random(1, "data");
  const at::Tensor sources = random.at(0).normal({1024, 8}, at::kFloat);
  const at::Tensor input = at::matmul(sources, random.at(1).normal({8, 32}, at::kFloat));
  const at::Tensor target = sources.slice(1, 0, 4).argmax(1);  // four classes
  const decorr::learning::Loss loss("cross-entropy");

  bool all_learn = true;
  for (const std::string& name : decorr::learning::rules()) {
    decorr::nn::Mlp model(decorr::nn::MlpOptions(/*inputs=*/32, /*hidden=*/{64, 64}, 4));
    decorr::optim::Adam optimizer(decorr::optim::named_parameters(*model));
    // The example batch shows the rules with feedback matrices what the layers look like.
    const auto rule = decorr::learning::make_rule(name, model, loss, {}, /*example=*/input);
    double first = 0, last = 0;
    for (int step = 0; step < 200; ++step) {
      last =
          rule->accumulate(input, target).loss.item<double>();  // gradients, as the rule has them
      rule->step(optimizer, /*lr=*/3e-3);
      optimizer.zero_grad();
      decorr::update(*model, optimizer);  // R and the means; weights and feedback matrices follow
      if (step == 0) first = last;
    }
    fmt::print("{:<26} loss {:.3f} -> {:.3f}\n", name, first, last);
    all_learn = all_learn && last < first;
  }
  return all_learn ? 0 : 1;
}
