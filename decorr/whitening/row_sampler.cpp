#include "decorr/whitening/row_sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace decorr::whitening {
namespace {

// Indices of the `count` smallest keys, in rising order.
std::vector<std::int64_t> smallest(const std::vector<std::uint64_t>& keys, std::int64_t count) {
  std::vector<std::int64_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto by_key = [&](std::int64_t left, std::int64_t right) {
    return std::pair(keys[static_cast<std::size_t>(left)], left) <
           std::pair(keys[static_cast<std::size_t>(right)], right);
  };
  std::nth_element(order.begin(), order.begin() + (count - 1), order.end(), by_key);
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

at::Tensor take(const at::Tensor& rows, const std::vector<std::int64_t>& indices) {
  return rows.index_select(0, at::tensor(indices, at::kLong).to(rows.device()));
}

}  // namespace

RowSampler::RowSampler(double fraction, std::int64_t max_samples, const std::string& sampling,
                       RandomStream random)
    : fraction_(fraction),
      max_samples_(max_samples),
      global_(sampling == "global"),
      random_(random) {}

std::int64_t RowSampler::sample_size(std::int64_t rows) const {
  const auto share = static_cast<std::int64_t>(fraction_ * static_cast<double>(rows)) + 1;
  return std::min({share, rows, max_samples_ > 0 ? max_samples_ : rows});
}

std::vector<std::int64_t> RowSampler::choose(std::int64_t count, std::int64_t step) {
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(count));
  const RandomStream stream = random_.at(static_cast<std::uint64_t>(step));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t global_index = static_cast<std::uint64_t>(rows_) + i;
    keys[i] = global_ ? stream.bits(global_index) : global_index;
  }
  std::vector<std::int64_t> chosen = smallest(keys, sample_size(count));
  for (const std::int64_t index : chosen) keys_.push_back(keys[static_cast<std::size_t>(index)]);
  return chosen;
}

void RowSampler::add(const at::Tensor& input, std::int64_t step) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = input.detach();
  if (rows.size(0) == 0) return;
  kept_.push_back(take(rows, choose(rows.size(0), step)));
  const at::Tensor sum = rows.sum(0);
  sum_ = sum_.defined() ? sum_ + sum : sum;
  rows_ += rows.size(0);
}

at::Tensor RowSampler::mean() const { return sum_ / static_cast<double>(rows_); }

at::Tensor RowSampler::sample() const {
  const at::Tensor rows = kept_.size() == 1 ? kept_.front() : at::cat(kept_);
  const std::int64_t wanted = std::min(sample_size(rows_), rows.size(0));
  return wanted == rows.size(0) ? rows : take(rows, smallest(keys_, wanted));
}

void RowSampler::clear() {
  rows_ = 0;
  sum_ = at::Tensor();
  kept_.clear();
  keys_.clear();
}

}  // namespace decorr::whitening
