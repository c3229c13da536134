#include "decorr/whitening/decorrelator.h"

#include "decorr/core/check.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/norm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <ostream>
#include <utility>

namespace decorr::whitening {

DecorrelatorImpl::DecorrelatorImpl(FeatureLayout layout, DecorrelatorOptions options,
                                   RandomStream random)
    : layout_(layout),
      options_(std::move(options)),
      random_(random),
      sampler_(options_.sample_fraction, options_.max_samples, options_.sampling, random) {
  check_argument(layout_.features >= 1, "[Decorrelator] features must be at least 1, got {}",
                 layout_.features);
  check_argument(layout_.groups >= 1 && layout_.area >= 1 &&
                     layout_.features % (layout_.groups * layout_.area) == 0,
                 "[Decorrelator] groups · area must divide the features, got {} · {} and {}",
                 layout_.groups, layout_.area, layout_.features);
  options_.validate();
  rule_ = make_rule(options_);
  reset();
}

void DecorrelatorImpl::reset() {
  sampler_.clear();
  rounded_ = at::Tensor();
  if (!active()) return;
  const std::int64_t in_group = layout_.features / layout_.groups;
  const std::int64_t block = options_.block_size(in_group);
  const auto identity = [&] {
    return linalg::block_identity(in_group, block).repeat({layout_.groups, 1});
  };
  matrix_ = register_buffer("matrix", rule_->diagonal() ? at::ones({features()}) : identity());
  running_mean_ = register_buffer("running_mean", at::zeros({features() / layout_.area}));
  counters_ = register_buffer("counters", at::zeros({4}, at::kLong));
  if (const auto* dense = dynamic_cast<const DenseRule*>(rule_.get()))
    state_ = register_buffer(dense->state_name(), dense->starts_from_identity()
                                                      ? identity()
                                                      : at::zeros({features(), block}));
}

void DecorrelatorImpl::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  to(dtype, non_blocking);
  Module::to(device, non_blocking);
}

void DecorrelatorImpl::to(torch::Dtype dtype, bool non_blocking) {
  const at::Tensor counts = active() ? counters_.clone() : at::Tensor();
  rounded_ = at::Tensor();
  Module::to(dtype, non_blocking);
  if (active()) counters_.set_data(counts);
}

bool DecorrelatorImpl::refreshes() const {
  const auto* dense = dynamic_cast<const DenseRule*>(rule_.get());
  return dense != nullptr && dense->refreshes();
}

const at::Tensor& DecorrelatorImpl::rounded_matrix() {
  const std::int64_t version = matrix_._version();
  if (!rounded_.defined() || rounded_version_ != version || rounded_.device() != matrix_.device())
    rounded_ = matrix_.to(at::kBFloat16);
  rounded_version_ = version;
  return rounded_;
}

at::Tensor DecorrelatorImpl::group_matrix(std::int64_t index) const {
  const std::int64_t in_group = layout_.features / layout_.groups;
  return matrix_.narrow(0, index * in_group, in_group);
}

at::Tensor DecorrelatorImpl::expanded(const at::Tensor& channel_mean) const {
  return layout_.area == 1 ? channel_mean : channel_mean.repeat_interleave(layout_.area);
}

// Rows [N, n] times Rᵀ.
at::Tensor DecorrelatorImpl::times_transposed(const at::Tensor& rows) const {
  if (layout_.groups == 1 || matrix_.dim() == 1) return linalg::times_transposed(rows, matrix_);
  std::vector<at::Tensor> parts;
  const std::int64_t in_group = layout_.features / layout_.groups;
  for (std::int64_t i = 0; i < layout_.groups; ++i)
    parts.push_back(
        linalg::times_transposed(rows.narrow(1, i * in_group, in_group), group_matrix(i)));
  return at::cat(parts, 1);
}

at::Tensor DecorrelatorImpl::forward(const at::Tensor& input) {
  check_argument(input.dim() == 2 && input.size(1) == features(),
                 "[Decorrelator] input must be [N, {}], got [{}]", features(),
                 fmt::join(input.sizes(), ", "));
  if (!active()) return input;
  observe(input);
  const at::Tensor mean = uses_batch_mean()
                              ? expanded(input.mean(0).view({-1, layout_.area}).mean(1))
                              : expanded(running_mean_);
  const at::Tensor centred = input - mean;
  if (matrix_.dim() == 1) return centred * matrix_;
  std::vector<at::Tensor> parts;
  const std::int64_t in_group = features() / layout_.groups;
  for (std::int64_t i = 0; i < layout_.groups; ++i)
    parts.push_back(
        at::matmul(centred.narrow(1, i * in_group, in_group), linalg::dense(group_matrix(i)).t()));
  return parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

at::Tensor DecorrelatorImpl::decorrelated(const at::Tensor& rows) const {
  const at::NoGradGuard no_grad;
  return active() ? times_transposed(rows - expanded(running_mean_)) : rows;
}

void DecorrelatorImpl::observe(const at::Tensor& input) {
  if (!observes()) return;
  RowSource source = rows_of(input);
  if (layout_.area > 1) source.mean = source.mean.view({-1, layout_.area}).mean(1);
  observe(source);
}

void DecorrelatorImpl::observe(const RowSource& source) {
  if (observes()) sampler_.add(source, steps());
}

double DecorrelatorImpl::matrix_norm() const {
  if (!active()) return 1;
  if (matrix_.dim() == 1) return matrix_.abs().max().item<double>();
  double norm = 0;
  for (std::int64_t i = 0; i < layout_.groups; ++i) {
    const at::Tensor group = group_matrix(i);
    for (std::int64_t j = 0; j < linalg::block_count(group); ++j)
      norm = std::max(norm, linalg::spectral_norm(linalg::block(group, j)));
  }
  return norm;
}

void DecorrelatorImpl::pretty_print(std::ostream& stream) const {
  stream << "decorr::whitening::Decorrelator(features=" << features()
         << ", method=" << options_.method << ", structure=" << options_.structure << ")";
}

}  // namespace decorr::whitening
