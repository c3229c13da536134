#include "decorr/whitening/readout_update.h"

#include "decorr/linalg/gemm.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace decorr::whitening {

ReadoutUpdate::Flat::Flat(const at::Tensor& tensor)
    : original(tensor), rows(tensor.dim() == 2 ? tensor : tensor.flatten(0, 1)) {}

// The entries of the group's rows that read the block's features.
at::Tensor ReadoutUpdate::Flat::part(const BlockPlace& place, std::int64_t groups) const {
  const std::int64_t count = rows.size(0) / groups;
  return rows.narrow(0, place.group * count, count).narrow(1, place.in_group, place.size);
}

void ReadoutUpdate::Flat::write_back() const {
  if (!rows.is_alias_of(original)) at::Tensor(original).copy_(rows.view(original.sizes()));
}

ReadoutUpdate::ReadoutUpdate(const Readout& readout, const std::vector<BlockPlace>& places,
                             const BlockUpdates& updates, const at::Tensor& moved)
    : groups_(moved.size(0)), weight_(readout.weight), bias_(readout.bias) {
  for (const at::Tensor& gradient : readout.gradients) gradients_.push_back({Flat(gradient), {}});
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const MatrixUpdate* update = updates[i].get();
    projections_.push_back(update != nullptr ? update->project(weight_.part(places[i], groups_))
                                             : at::Tensor());
    for (Gradient& gradient : gradients_)
      gradient.moved.push_back(update != nullptr
                                   ? update->transport(gradient.flat.part(places[i], groups_))
                                   : at::Tensor());
  }
  if (!bias_.defined()) return;
  std::vector<at::Tensor> shifts;
  const std::int64_t count = weight_.rows.size(0) / groups_;
  for (std::int64_t i = 0; i < groups_; ++i)
    shifts.push_back(
        linalg::gemm(moved[i], weight_.rows.narrow(0, i * count, count).t()).squeeze(0));
  shift_ = at::cat(shifts).view({bias_.size(0), -1}).sum(1);
}

bool ReadoutUpdate::finite() const {
  return all_finite(projections_) && all_finite(shift_) &&
         std::all_of(gradients_.begin(), gradients_.end(),
                     [](const Gradient& gradient) { return all_finite(gradient.moved); });
}

void ReadoutUpdate::apply(const std::vector<BlockPlace>& places,
                          const BlockUpdates& updates) const {
  if (bias_.defined()) at::Tensor(bias_).add_(shift_);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    if (!updates[i]) continue;
    updates[i]->apply_to_readout(weight_.part(places[i], groups_), projections_[i]);
    for (const Gradient& gradient : gradients_)
      if (gradient.moved[i].defined())
        gradient.flat.part(places[i], groups_).copy_(gradient.moved[i]);
  }
  weight_.write_back();
  for (const Gradient& gradient : gradients_) gradient.flat.write_back();
}

}  // namespace decorr::whitening
