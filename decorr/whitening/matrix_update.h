#pragma once

#include "decorr/whitening/rule.h"

#include <ATen/core/Tensor.h>

namespace decorr::whitening {

/// Products of W [m, n] with what a change of R brings along.
struct Projection {
  at::Tensor own;    ///< the update's business
  at::Tensor extra;  ///< [m, 1]; undefined if not asked for
};

/// A change of one block of R, R_old → R_new, together with what undoes it on the other side,
/// M = R_old·R_new⁻¹, so that W·M behind R_new computes what W computed behind R_old. Building one
/// computes all factors and changes nothing.
class MatrixUpdate {
 public:
  virtual ~MatrixUpdate() = default;

  /// Whether all factors are finite; if not, the update must not be applied.
  virtual bool finite() const = 0;

  /// Changes R in place.
  virtual void apply_to_matrix() const = 0;

  /// What apply_to_readout() needs for `weight` [m, n], computed before anything has changed, and
  /// the image W·zᵀ of a row `extra` z, [1, n], if that is defined.
  virtual Projection project(const at::Tensor& weight, const at::Tensor& extra) const = 0;

  /// W ← W·M in place; `projection` is project(weight).own.
  virtual void apply_to_readout(at::Tensor weight, const at::Tensor& projection) const = 0;

  /// G·M⁻ᵀ for `gradient` [m, n], a tensor that transforms as a gradient of W does. Undefined if M
  /// is so close to the identity that such tensors are left alone. Called before apply_to_matrix().
  virtual at::Tensor transport(const at::Tensor& /*gradient*/) const { return {}; }
};

/// The change R ← g·(D - a·UᵀU)·R of a low-rank rule. By the Woodbury identity
///
///   M = g⁻¹·(D⁻¹ + D⁻¹Uᵀ·(I/a - U·D⁻¹·Uᵀ)⁻¹·U·D⁻¹),
///
/// an s×s system: changing R costs 4sn² floating-point operations, W [m, n] costs 4smn.
class LowRankUpdate : public MatrixUpdate {
 public:
  /// For R = `matrix` ([n, n], or [n] if the rule is diagonal) and the sample `u` [s, n].
  /// `with_inverse` prepares M too.
  LowRankUpdate(at::Tensor matrix, at::Tensor u, LowRankStep step, double gain, bool with_inverse);

  bool finite() const override;
  void apply_to_matrix() const override;
  /// The factor W·D⁻¹·Uᵀ [m, s]; undefined if a = 0.
  Projection project(const at::Tensor& weight, const at::Tensor& extra) const override;
  void apply_to_readout(at::Tensor weight, const at::Tensor& projection) const override;

 private:
  at::Tensor matrix_;
  at::Tensor u_;
  LowRankStep step_;
  double gain_;
  at::Tensor image_;        // U·R, [s, n]
  at::Tensor scaled_u_;     // U·D⁻¹, [s, n]
  at::Tensor inverse_row_;  // (I/a - U·D⁻¹·Uᵀ)⁻¹·U·D⁻¹, [s, n]
};

/// The replacement of R and of the state beside it by a dense rule. W ← (W·R_old)·R_new⁻¹ costs
/// 4mn².
class DenseUpdate : public MatrixUpdate {
 public:
  /// For R = `matrix` [n, n] and the rule's `state` [n, n]. With `transports`, gradients move
  /// along.
  DenseUpdate(at::Tensor matrix, at::Tensor state, DenseStep step, bool transports);

  bool finite() const override;
  void apply_to_matrix() const override;
  /// The new W; undefined if R stays.
  Projection project(const at::Tensor& weight, const at::Tensor& extra) const override;
  void apply_to_readout(at::Tensor weight, const at::Tensor& projection) const override;
  at::Tensor transport(const at::Tensor& gradient) const override;

 private:
  at::Tensor matrix_, state_;
  DenseStep step_;
  bool transports_;
};

/// W·zᵀ, [m, 1], for `weight` [m, n] and `row` z [1, n]; undefined if the row is.
at::Tensor image_of(const at::Tensor& weight, const at::Tensor& row);

/// Whether every entry of every defined tensor is finite, and far enough from overflow that
/// products of two of them are.
bool all_finite(at::ArrayRef<at::Tensor> tensors);

}  // namespace decorr::whitening
