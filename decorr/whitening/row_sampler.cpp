#include "decorr/whitening/row_sampler.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace decorr::whitening {
namespace {

// The indices among which the `count` smallest of many uniformly random keys must be: those below a
// bound that leaves out most. All of them if the keys are not as random as that.
std::vector<std::int64_t> candidates(const std::vector<std::uint64_t>& keys, std::int64_t count) {
  std::vector<std::int64_t> order;
  const double share = (1.5 * static_cast<double>(count) + 64) / static_cast<double>(keys.size());
  if (share < 0.5) {
    const auto bound = static_cast<std::uint64_t>(share * 0x1p64);
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (keys[i] < bound) order.push_back(static_cast<std::int64_t>(i));
    if (static_cast<std::int64_t>(order.size()) >= count) return order;
  }
  order.resize(keys.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

// Indices of the `count` smallest keys, in rising order.
std::vector<std::int64_t> smallest(const std::vector<std::uint64_t>& keys, std::int64_t count) {
  std::vector<std::int64_t> order = candidates(keys, count);
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

RowSource rows_of(const at::Tensor& input) {
  const at::Tensor rows = input.detach();
  RowSource source;
  source.samples = rows.size(0);
  source.mean = rows.mean(0);
  source.gather = [rows](const std::vector<std::int64_t>& indices) {
    return Rows{take(rows, indices), at::Tensor()};
  };
  return source;
}

RowSampler::RowSampler(double fraction, std::int64_t max_samples, const std::string& sampling,
                       RandomStream random)
    : fraction_(fraction),
      max_samples_(max_samples),
      global_(sampling == "global"),
      random_(random) {}

std::int64_t RowSampler::sample_size(std::int64_t samples, std::int64_t rows) const {
  const auto share = [&](std::int64_t count) {
    return std::min(count, static_cast<std::int64_t>(fraction_ * static_cast<double>(count)) + 1);
  };
  const std::int64_t wanted = global_ ? share(rows) : share(samples) * (rows / samples);
  return std::min(wanted, max_samples_ > 0 ? max_samples_ : rows);
}

std::vector<std::int64_t> RowSampler::choose(const RowSource& source, std::int64_t step) {
  const std::int64_t count = source.samples * source.rows_per_sample;
  const std::int64_t wanted = sample_size(source.samples, count);
  const auto begin = static_cast<std::uint64_t>(rows_);
  std::vector<std::int64_t> chosen;
  if (!global_) {
    chosen.resize(static_cast<std::size_t>(wanted));
    std::iota(chosen.begin(), chosen.end(), std::int64_t{0});
    for (const std::int64_t index : chosen)
      keys_.push_back(begin + static_cast<std::uint64_t>(index));
    return chosen;
  }
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(count));
  const RandomStream stream = random_.at(static_cast<std::uint64_t>(step));
  constexpr std::int64_t kGrain = 4096;
  at::parallel_for(0, count, kGrain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      keys[static_cast<std::size_t>(i)] = stream.bits(begin + static_cast<std::uint64_t>(i));
  });
  chosen = smallest(keys, wanted);
  for (const std::int64_t index : chosen) keys_.push_back(keys[static_cast<std::size_t>(index)]);
  return chosen;
}

void RowSampler::add(const RowSource& source, std::int64_t step) {
  const at::NoGradGuard no_grad;
  const std::int64_t count = source.samples * source.rows_per_sample;
  if (count == 0) return;
  kept_.push_back(source.gather(choose(source, step)));
  const at::Tensor sum = source.mean.detach() * static_cast<double>(count);
  sum_ = sum_.defined() ? sum_ + sum : sum;
  rows_ += count;
  samples_ += source.samples;
}

at::Tensor RowSampler::mean() const { return sum_ / static_cast<double>(rows_); }

Rows RowSampler::sample() const {
  Rows all = kept_.front();
  if (kept_.size() > 1) {
    const bool marked = std::any_of(kept_.begin(), kept_.end(),
                                    [](const Rows& rows) { return rows.centred.defined(); });
    std::vector<at::Tensor> x, centred;
    for (const Rows& rows : kept_) {
      x.push_back(rows.x);
      if (marked) centred.push_back(rows.centred.defined() ? rows.centred : at::ones_like(rows.x));
    }
    all = {at::cat(x), marked ? at::cat(centred) : at::Tensor()};
  }
  const std::int64_t wanted = std::min(sample_size(samples_, rows_), all.x.size(0));
  if (wanted == all.x.size(0)) return all;
  const std::vector<std::int64_t> indices = smallest(keys_, wanted);
  return {take(all.x, indices), all.centred.defined() ? take(all.centred, indices) : at::Tensor()};
}

void RowSampler::clear() {
  rows_ = samples_ = 0;
  sum_ = at::Tensor();
  kept_.clear();
  keys_.clear();
}

}  // namespace decorr::whitening
