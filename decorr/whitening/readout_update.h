#pragma once

#include "decorr/whitening/matrix_update.h"
#include "decorr/whitening/readout.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

// How the maps that read u follow a change of R and μ. Internal to whitening/: not installed.
namespace decorr::whitening {

/// Where a block of R is.
struct BlockPlace {
  std::int64_t begin;     ///< first feature, over all groups
  std::int64_t size;      ///< features
  std::int64_t group;     ///< the group that it is in
  std::int64_t in_group;  ///< first feature, within the group
};

/// The changes of all blocks of R, in their order; null for a block that stays as it is.
using BlockUpdates = std::vector<std::unique_ptr<MatrixUpdate>>;

/// The change of one readout that keeps its function: W ← W·M and b ← b + W·R_old·(μ_new - μ_old).
/// Building one computes everything and changes nothing.
class ReadoutUpdate {
 public:
  /// `moved` [groups, 1, n/groups] is R_old·(μ_new - μ_old).
  ReadoutUpdate(const Readout& readout, const std::vector<BlockPlace>& places,
                const BlockUpdates& updates, const at::Tensor& moved);

  /// Whether everything computed is finite; if not, the update must not be applied.
  bool finite() const;

  /// Changes weight, bias and gradients in place. `updates` must not have been applied to R yet.
  void apply(const std::vector<BlockPlace>& places, const BlockUpdates& updates) const;

 private:
  // A tensor [m, n] or [m, k, n] with its rows flattened to two dimensions, a copy where that is no
  // view.
  struct Flat {
    explicit Flat(const at::Tensor& tensor);
    at::Tensor part(const BlockPlace& place, std::int64_t groups) const;
    void write_back() const;
    at::Tensor original, rows;
  };
  struct Gradient {
    Flat flat;
    std::vector<at::Tensor> moved;
  };

  std::int64_t groups_;
  Flat weight_;
  std::vector<at::Tensor> projections_;
  at::Tensor bias_, shift_;
  std::vector<Gradient> gradients_;
};

}  // namespace decorr::whitening
