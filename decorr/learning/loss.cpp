#include "decorr/learning/loss.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace decorr::learning {

std::vector<std::string> losses() { return {"cross-entropy", "squared-error"}; }

Loss::Loss(std::string name) : name_(std::move(name)) {
  const std::vector<std::string> known = losses();
  check_argument(std::find(known.begin(), known.end(), name_) != known.end(),
                 "[Loss] must be one of {}, got \"{}\"", fmt::join(known, ", "), name_);
}

void Loss::check(const at::Tensor& logits, const at::Tensor& target) const {
  check_argument(logits.dim() == 2 && target.dim() == 1 && logits.size(0) == target.size(0) &&
                     logits.size(0) > 0,
                 "[Loss] expected logits [N, K] and classes [N] with N > 0, got [{}] and [{}]",
                 fmt::join(logits.sizes(), ", "), fmt::join(target.sizes(), ", "));
  const auto lowest = target.min().item<std::int64_t>();
  const auto highest = target.max().item<std::int64_t>();
  check_argument(lowest >= 0 && highest < logits.size(1),
                 "[Loss] classes must be in [0, {}), got {} to {}", logits.size(1), lowest,
                 highest);
}

at::Tensor Loss::operator()(const at::Tensor& logits, const at::Tensor& target) const {
  check(logits, target);
  if (name_ == "cross-entropy") return at::cross_entropy_loss(logits, target);
  const at::Tensor onehot = at::one_hot(target, logits.size(1)).to(logits.scalar_type());
  return (logits - onehot).square().sum(1).mean();
}

at::Tensor Loss::difference(const at::Tensor& from, const at::Tensor& to,
                            const at::Tensor& target) const {
  const at::NoGradGuard no_grad;
  check(from, target);
  check(to, target);
  const at::Tensor z = from.to(at::kDouble);
  const at::Tensor d = to.to(at::kDouble) - z;
  if (name_ == "cross-entropy") {
    // log Σ p·exp(d) - d[target] with p = softmax(z): exact for small d, while for large ones the
    // logarithms themselves are.
    const at::Tensor small = at::log1p((at::softmax(z, 1) * at::expm1(d)).sum(1));
    const at::Tensor large = at::logsumexp(z + d, 1) - at::logsumexp(z, 1);
    const at::Tensor change = at::where(std::get<0>(d.abs().max(1)) < 0.5, small, large);
    return change - d.gather(1, target.unsqueeze(1)).squeeze(1);
  }
  const at::Tensor onehot = at::one_hot(target, z.size(1)).to(at::kDouble);
  return (d * (2 * (z - onehot) + d)).sum(1);
}

}  // namespace decorr::learning
