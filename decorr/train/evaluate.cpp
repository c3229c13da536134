#include "decorr/train/evaluate.h"

#include <ATen/ATen.h>

namespace decorr::train {

void Score::add(double loss, const at::Tensor& logits, const at::Tensor& target) {
  loss_sum += loss * static_cast<double>(target.size(0));
  correct += logits.argmax(1).eq(target).sum().item<std::int64_t>();
  count += target.size(0);
}

namespace {

std::int64_t among_five(const at::Tensor& logits, const at::Tensor& target) {
  const at::Tensor five = std::get<1>(logits.topk(5, 1));
  return five.eq(target.unsqueeze(1)).sum().item<std::int64_t>();
}

}  // namespace

Score evaluate(nn::Model& model, data::Loader& loader, const learning::Loss& loss) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  const at::Device device = model.parameters().front().device();
  model.eval();
  Score score;
  loader.start(0);
  for (data::Batch batch; loader.next(batch);) {
    const at::Tensor target = batch.target.to(device);
    const at::Tensor logits = model.forward(batch.input.to(device));
    score.add(loss(logits, target).item<double>(), logits, target);
    if (logits.size(1) >= kManyClasses)
      score.correct5 = score.correct5.value_or(0) + among_five(logits, target);
  }
  model.train(was_training);
  return score;
}

}  // namespace decorr::train
