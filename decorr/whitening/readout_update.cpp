#include "decorr/whitening/readout_update.h"

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
  const std::int64_t rows = weight_.rows.size(0) / groups_;
  at::Tensor shift;
  if (bias_.defined()) shift = at::zeros({groups_, rows}, weight_.rows.options());
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const BlockPlace& place = places[i];
    const MatrixUpdate* update = updates[i].get();
    const at::Tensor weights = weight_.part(place, groups_);
    const at::Tensor row =
        shift.defined() ? moved[place.group].narrow(1, place.in_group, place.size) : at::Tensor();
    const Projection projection = update != nullptr
                                      ? update->project(weights, row)
                                      : Projection{at::Tensor(), image_of(weights, row)};
    projections_.push_back(projection.own);
    if (shift.defined()) shift[place.group].add_(projection.extra.squeeze(1));
    for (Gradient& gradient : gradients_)
      gradient.moved.push_back(
          update != nullptr ? update->transport(gradient.flat.part(place, groups_)) : at::Tensor());
  }
  if (shift.defined()) shift_ = shift.view({bias_.size(0), -1}).sum(1);
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
