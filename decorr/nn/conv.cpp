#include "decorr/nn/conv.h"

#include "decorr/core/check.h"
#include "decorr/nn/folded_weight.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <ostream>

namespace decorr::nn {
namespace {

constexpr std::int64_t kRecordedRows = 4096;

}  // namespace

template <std::size_t D, typename Derived>
ConvImpl<D, Derived>::ConvImpl(ConvOptions<D> options_in)
    : options(std::move(options_in)),
      name_(layer_label(fmt::format("Conv{}d", D), options.path())) {
  const torch::nn::ConvOptions<D>& conv = options.conv();
  check_argument(conv.in_channels() >= 1 && conv.out_channels() >= 1,
                 "[{}] channels must be at least 1, got {} in and {} out", name_,
                 conv.in_channels(), conv.out_channels());
  check_argument(conv.groups() >= 1 && conv.in_channels() % conv.groups() == 0 &&
                     conv.out_channels() % conv.groups() == 0,
                 "[{}] groups must divide the channels, got {} for {} in and {} out", name_,
                 conv.groups(), conv.in_channels(), conv.out_channels());
  geometry_ = ConvGeometry(conv, name_);
  validate(options.decorrelation(), name_);
  reset();
}

template <std::size_t D, typename Derived>
void ConvImpl<D, Derived>::reset() {
  const torch::nn::ConvOptions<D>& conv = options.conv();
  const std::int64_t channels = conv.in_channels() / conv.groups();
  const std::int64_t area = geometry_.kernel[0] * geometry_.kernel[1];
  const double bound = 1 / std::sqrt(static_cast<double>(channels * area));
  std::vector<std::int64_t> sizes{conv.out_channels(), channels};
  sizes.insert(sizes.end(), conv.kernel_size()->begin(), conv.kernel_size()->end());
  const RandomStream& random = options.random();
  weight = this->register_parameter(
      "weight", random.at(0).uniform(sizes, -bound, bound, at::TensorOptions()));
  const std::int64_t seen = channels_only() ? 1 : area;
  decorrelator_ = this->register_module(
      "decorrelator", whitening::Decorrelator(
                          whitening::FeatureLayout{conv.in_channels() * seen, conv.groups(), seen},
                          options.decorrelation(), random.at(2)));
  if (conv.bias()) {
    bias = this->register_parameter(
        "bias", random.at(1).uniform({conv.out_channels()}, -bound, bound, at::TensorOptions()));
  } else if (decorrelator_->active() || bias_offset.defined()) {
    bias_offset = this->register_buffer("bias_offset", at::zeros({conv.out_channels()}));
  }
  if (input_mean.defined())
    input_mean = this->register_buffer("input_mean", at::zeros({conv.in_channels()}));
}

template <std::size_t D, typename Derived>
void ConvImpl<D, Derived>::pretty_print(std::ostream& stream) const {
  const torch::nn::ConvOptions<D>& conv = options.conv();
  stream << "decorr::nn::Conv" << D << "d(" << conv.in_channels() << ", " << conv.out_channels()
         << ", kernel_size=" << conv.kernel_size() << ", stride=" << conv.stride()
         << ", groups=" << conv.groups() << ", bias=" << std::boolalpha << conv.bias() << ")";
}

template <std::size_t D, typename Derived>
bool ConvImpl<D, Derived>::channels_only() const {
  return options.decorrelation().structure == "channel";
}

template <std::size_t D, typename Derived>
bool ConvImpl<D, Derived>::centres_before_padding() const {
  return decorrelator_->active() && options.decorrelation().pad == "demeaned" &&
         geometry_.padding_mode == "zeros" && geometry_.pads();
}

// Which entries make a row: the patch under the kernel, or the channels of a pixel.
template <std::size_t D, typename Derived>
ConvGeometry ConvImpl<D, Derived>::rows_geometry() const {
  return channels_only() ? ConvGeometry() : geometry_;
}

// Shows the Decorrelator, and whoever records, the rows of `input` [N, C, H, W].
template <std::size_t D, typename Derived>
void ConvImpl<D, Derived>::show_rows(const at::Tensor& input) {
  if (!decorrelator_->observes() && !records_input()) return;
  const ConvGeometry geometry = rows_geometry();
  const bool mark = centres_before_padding();
  const auto [rows, columns] = geometry.output(input.size(2), input.size(3));
  whitening::RowSource source;
  source.samples = input.size(0);
  source.rows_per_sample = rows * columns;
  source.gather = [=](const std::vector<std::int64_t>& positions) {
    return gather_patches(input, geometry, positions, mark);
  };
  if (records_input()) {
    const std::int64_t total = source.samples * source.rows_per_sample;
    std::vector<std::int64_t> positions(static_cast<std::size_t>(std::min(total, kRecordedRows)));
    const auto count = static_cast<std::int64_t>(positions.size());
    for (std::int64_t i = 0; i < count; ++i)
      positions[static_cast<std::size_t>(i)] = i * total / count;
    whitening::Rows patches = source.gather(positions);
    if (patches.centred.defined()) {
      const at::Tensor mean =
          decorrelator_->running_mean().repeat_interleave(decorrelator_->layout().area);
      patches.x.add_(mean * (1 - patches.centred));
    }
    record(patches.x);
  }
  if (decorrelator_->observes()) {
    source.mean = input.detach().mean({0, 2, 3});
    decorrelator_->observe(source);
  }
}

template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::effective_weight() const {
  if (!decorrelator_->active()) return weight;
  return folded_weight(weight, decorrelator_->matrix(), options.conv().groups(), channels_only());
}

// The convolution of `input` [N, C, H, W] with the mean of its channels, [C] or undefined for none,
// taken away.
template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::convolve(const at::Tensor& input, const at::Tensor& mean) const {
  const std::int64_t groups = options.conv().groups();
  at::Tensor kernel = effective_weight();
  at::Tensor offset = bias.defined() ? bias : bias_offset;  // defined if `mean` is
  at::Tensor x = input;
  if (mean.defined() && centres_before_padding()) {
    x = input - mean.view({1, -1, 1, 1});
  } else if (mean.defined()) {
    const std::int64_t channels = kernel.size(1);
    const at::Tensor sums = kernel.flatten(2).sum(2).view({groups, -1, channels});
    offset = offset - at::bmm(sums, mean.view({groups, channels, 1})).view({-1});
  }
  if constexpr (D == 1) kernel = kernel.unsqueeze(2);
  const bool by_convolution =
      geometry_.padding_mode == "zeros" && geometry_.before == geometry_.after;
  const ConvGeometry::Pair padding = by_convolution ? geometry_.before : ConvGeometry::Pair{0, 0};
  return at::convolution(by_convolution ? x : geometry_.padded(x), kernel, offset, geometry_.stride,
                         padding, geometry_.dilation, /*transposed=*/false, {0, 0}, groups);
}

template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::forward(const at::Tensor& input) {
  const std::int64_t channels = options.conv().in_channels();
  const auto rank = static_cast<std::int64_t>(D) + 2;
  const bool single = input.dim() == rank - 1;
  check_argument((input.dim() == rank || single) && input.size(single ? 0 : 1) == channels,
                 "[{}] input must be [N, {}, {}], got [{}]", name_, channels, D == 1 ? "L" : "H, W",
                 fmt::join(input.sizes(), ", "));
  check_argument(input.numel() > 0, "[{}] input must not be empty, got [{}]", name_,
                 fmt::join(input.sizes(), ", "));
  check_argument(input.scalar_type() == weight.scalar_type() && input.device() == weight.device(),
                 "[{}] input must be {} on {} like the weights, got {} on {}", name_,
                 c10::toString(weight.scalar_type()), weight.device().str(),
                 c10::toString(input.scalar_type()), input.device().str());
  at::Tensor x = single ? input.unsqueeze(0) : input;
  if constexpr (D == 1) x = x.unsqueeze(2);
  geometry_.check_input(x.size(2), x.size(3), name_);
  if (input_mean.defined()) x = x - input_mean.view({1, -1, 1, 1});
  show_rows(x);
  at::Tensor mean;
  if (decorrelator_->active())
    mean = decorrelator_->uses_batch_mean() ? x.mean({0, 2, 3}) : decorrelator_->running_mean();
  at::Tensor output = convolve(x, mean);
  if constexpr (D == 1) output = output.squeeze(2);
  return single ? output.squeeze(0) : output;
}

template <std::size_t D, typename Derived>
std::vector<whitening::Readout> ConvImpl<D, Derived>::readouts(const MomentsOf& moments) {
  whitening::Readout readout{
      readout_view(weight, channels_only()), bias.defined() ? bias : bias_offset, {}};
  if (moments)
    for (const at::Tensor& moment : moments(weight))
      readout.gradients.push_back(readout_view(moment, channels_only()));
  return {readout};
}

template class ConvImpl<1, Conv1dImpl>;
template class ConvImpl<2, Conv2dImpl>;

}  // namespace decorr::nn
