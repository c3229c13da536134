#include "decorr/nn/recurrent.h"

#include "decorr/core/check.h"
#include "decorr/nn/layer_factory.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

namespace decorr::nn {

RecurrentImpl::RecurrentImpl(RecurrentOptions options_in) : options(std::move(options_in)) {
  options.image().validate("Recurrent");
  check_argument(options.width() >= 1, "[Recurrent] width must be at least 1, got {}",
                 options.width());
  reset();
}

void RecurrentImpl::reset() {
  const LayerFactory factory{options.decorrelation(), options.seed()};
  const auto add = [&](const char* name, std::int64_t inputs, std::int64_t outputs) {
    return register_module(name, factory.linear(name, {inputs, outputs}));
  };
  const std::int64_t width = options.width();
  input_ = add("input", options.image().channels * options.image().width, 3 * width);
  hidden_ = add("hidden", width, 3 * width);
  head_ = add("head", width, options.outputs());
}

at::Tensor RecurrentImpl::forward(const at::Tensor& input) {
  options.image().check("Recurrent", input);
  const at::Tensor from_input = input_->forward(image_rows(input));
  at::Tensor h = at::zeros({input.size(0), options.width()}, input.options());
  for (const at::Tensor& step : from_input.unbind(1)) {
    const std::vector<at::Tensor> x = step.chunk(3, 1);
    const std::vector<at::Tensor> y = hidden_->forward(h).chunk(3, 1);
    const at::Tensor reset_gate = at::sigmoid(x[0] + y[0]);
    const at::Tensor update_gate = at::sigmoid(x[1] + y[1]);
    const at::Tensor candidate = at::tanh(x[2] + reset_gate * y[2]);
    h = at::lerp(candidate, h, update_gate);
  }
  return head_->forward(h);
}

std::shared_ptr<Model> RecurrentImpl::with_decorrelation(const DecorrelationPlan& plan) const {
  return std::make_shared<RecurrentImpl>(RecurrentOptions(options).decorrelation(plan));
}

}  // namespace decorr::nn
