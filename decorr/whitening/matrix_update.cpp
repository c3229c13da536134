#include "decorr/whitening/matrix_update.h"

#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace decorr::whitening {

at::Tensor image_of(const at::Tensor& weight, const at::Tensor& row) {
  return row.defined() ? linalg::gemm(weight, row.t()) : at::Tensor();
}

LowRankUpdate::LowRankUpdate(at::Tensor matrix, at::Tensor u, LowRankStep step, double gain,
                             bool with_inverse)
    : matrix_(std::move(matrix)), u_(std::move(u)), step_(std::move(step)), gain_(gain) {
  if (step_.a == 0) return;
  image_ = linalg::gemm(u_, matrix_);
  if (!with_inverse) return;
  scaled_u_ = step_.diagonal.defined() ? u_ / step_.diagonal : u_;
  // The system is small; solving it in float64 keeps many thousand updates from drifting.
  const at::Tensor gram = linalg::gemm(u_, scaled_u_.t()).to(at::kDouble);
  const at::Tensor system = at::eye(gram.size(0), gram.options()) - gram * step_.a;
  const auto [inverse, failed] = at::linalg_inv_ex(system);
  const at::Tensor usable = failed.item<int>() == 0 ? inverse : at::full_like(inverse, NAN);
  inverse_row_ = linalg::gemm(usable.mul(step_.a).to(u_.scalar_type()), scaled_u_);
}

bool LowRankUpdate::finite() const {
  return std::isfinite(gain_) && std::isfinite(step_.a) &&
         all_finite({step_.diagonal, image_, inverse_row_});
}

void LowRankUpdate::apply_to_matrix() const {
  at::Tensor matrix = matrix_;
  if (matrix.dim() == 1) {
    matrix.mul_(step_.diagonal).mul_(gain_);
    return;
  }
  if (step_.diagonal.defined()) matrix.mul_(step_.diagonal.unsqueeze(1));
  if (step_.a == 0) {
    matrix.mul_(gain_);
  } else {
    linalg::rank_k_update_(matrix, u_, image_, -step_.a * gain_, gain_);
  }
}

Projection LowRankUpdate::project(const at::Tensor& weight, const at::Tensor& extra) const {
  if (step_.a == 0) return {at::Tensor(), image_of(weight, extra)};
  if (!extra.defined()) return {linalg::gemm(weight, scaled_u_.t()), at::Tensor()};
  // Together, so that W is read once.
  const std::int64_t rows = scaled_u_.size(0);
  const at::Tensor both = linalg::gemm(weight, at::cat({scaled_u_, extra}).t());
  return {both.narrow(1, 0, rows), both.narrow(1, rows, 1)};
}

void LowRankUpdate::apply_to_readout(at::Tensor weight, const at::Tensor& projection) const {
  if (step_.diagonal.defined()) weight.div_(step_.diagonal);
  if (step_.a == 0) {
    weight.div_(gain_);
  } else {
    linalg::gemm_(weight, projection, inverse_row_, 1 / gain_, 1 / gain_);
  }
}

DenseUpdate::DenseUpdate(at::Tensor matrix, at::Tensor state, DenseStep step, bool transports)
    : matrix_(std::move(matrix)),
      state_(std::move(state)),
      step_(std::move(step)),
      transports_(transports) {}

bool DenseUpdate::finite() const { return all_finite({step_.state, step_.matrix, step_.inverse}); }

void DenseUpdate::apply_to_matrix() const {
  at::Tensor(state_).copy_(step_.state);
  if (step_.matrix.defined()) at::Tensor(matrix_).copy_(step_.matrix);
}

Projection DenseUpdate::project(const at::Tensor& weight, const at::Tensor& extra) const {
  Projection result{at::Tensor(), image_of(weight, extra)};
  if (step_.matrix.defined())
    result.own = linalg::gemm(linalg::gemm(weight, matrix_), step_.inverse);
  return result;
}

void DenseUpdate::apply_to_readout(at::Tensor weight, const at::Tensor& projection) const {
  if (projection.defined()) weight.copy_(projection);
}

at::Tensor DenseUpdate::transport(const at::Tensor& gradient) const {
  if (!transports_ || !step_.matrix.defined()) return {};
  // G·R_old⁻ᵀ·R_newᵀ, the first product by solving R_old·X = Gᵀ.
  const at::Tensor back = at::linalg_solve(matrix_.to(at::kDouble), gradient.t().to(at::kDouble));
  return linalg::gemm(back.t().to(gradient.scalar_type()), step_.matrix.t());
}

bool all_finite(at::ArrayRef<at::Tensor> tensors) {
  // A finite norm in the tensor's own type bounds every product of two by the largest number.
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) {
    return !tensor.defined() || std::isfinite(tensor.norm().item<double>());
  });
}

}  // namespace decorr::whitening
