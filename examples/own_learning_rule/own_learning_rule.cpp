// A learning rule of one's own: written, registered under a name, and used by that name.
//
// Direct random target projection (Frenkel, Lefebvre, Bol, Frontiers in Neuroscience 2021): hidden
// layers need not even wait for the network's answer. In place of the error they receive the target
// y*, one-hot, through a fixed random matrix,
//
//   δx_l = -B_l·y* / N,
//
// and only the last layer learns from the error itself. The rule says what each layer receives; the
// library runs the blocks backwards, decorrelates their inputs and steps the weights.
#include "decorr/core/random.h"
#include "decorr/learning/layers.h"
#include "decorr/learning/rule.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace learning = decorr::learning;

class RandomTargetProjection : public learning::Rule {
 public:
  RandomTargetProjection(learning::Network network, learning::Loss loss, std::uint64_t seed,
                         const at::Tensor& example)
      : network_(std::move(network)), loss_(std::move(loss)) {
    layers_ = learning::trace_layers(network_, example, "random-target-projection");
    const std::int64_t classes = layers_.back().layer->weights().size(0);
    for (std::size_t i = 0; i < layers_.size(); ++i)
      matrices_.push_back(decorr::RandomStream(seed, "projection")
                              .at(i)
                              .normal({layers_[i].input_sizes.back(), classes}, example.options())
                              .mul_(0.1));
  }

  learning::BatchResult accumulate(const at::Tensor& input, const at::Tensor& target,
                                   double weight) override {
    const auto samples = static_cast<double>(input.size(0));
    const std::int64_t classes = matrices_[0].size(1);
    const at::Tensor answer = at::one_hot(target, classes).to(input.scalar_type());
    std::vector<at::Tensor> roots, received;
    learning::HookScope hooks;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (layers_[i].reads_data) continue;
      decorr::nn::LayerHooks hook;
      hook.input = [&, i](const at::Tensor& x) {
        roots.push_back(x);
        received.push_back(at::matmul(answer, matrices_[i].t()) * (-weight / samples));
        return x.detach();  // no error goes back through this layer
      };
      hooks.set(*layers_[i].layer, std::move(hook));
    }
    const at::Tensor logits = network_.forward(input);
    const at::Tensor loss = loss_(logits, target);
    roots.push_back(loss);
    received.push_back(at::full_like(loss, weight));
    torch::autograd::backward(roots, received);
    return {loss.detach(), logits.detach()};
  }

 protected:
  // What a checkpoint holds of the rule.
  std::map<std::string, at::Tensor> state() const override {
    std::map<std::string, at::Tensor> result;
    for (std::size_t i = 0; i < layers_.size(); ++i)
      result[layers_[i].path + ".projection"] = matrices_[i];
    return result;
  }

 private:
  learning::Network network_;
  learning::Loss loss_;
  std::vector<learning::TracedLayer> layers_;
  std::vector<at::Tensor> matrices_;  // B_l, [n_l, classes]
};

}  // namespace

int main() {
  learning::register_rule("random-target-projection",
                          [](learning::Network network, const learning::Loss& loss,
                             const learning::RuleOptions& options, const at::Tensor& example) {
                            return std::make_unique<RandomTargetProjection>(
                                std::move(network), loss, options.seed, example);
                          });

  const decorr::RandomStream random(1, "data");
  const at::Tensor sources = random.at(0).normal({1024, 8}, at::kFloat);
  const at::Tensor input = at::matmul(sources, random.at(1).normal({8, 32}, at::kFloat));
  const at::Tensor target = sources.slice(1, 0, 4).argmax(1);

  decorr::nn::Mlp model(
      decorr::nn::MlpOptions(/*inputs=*/32, /*hidden=*/{64, 64}, /*outputs=*/4).activation("tanh"));
  decorr::optim::Adam optimizer(decorr::optim::named_parameters(*model));
  const auto rule = learning::make_rule("random-target-projection", model,
                                        learning::Loss("cross-entropy"), {}, input);
  double first = 0, last = 0;
  for (int step = 0; step < 200; ++step) {
    last = rule->accumulate(input, target).loss.item<double>();
    if (step == 0) first = last;
    rule->step(optimizer, /*lr=*/1e-3);
    optimizer.zero_grad();
    decorr::update(*model, optimizer);
  }
  fmt::print("random-target-projection: loss {:.3f} -> {:.3f}\n", first, last);
  return last < 0.5 * first ? 0 : 1;
}
