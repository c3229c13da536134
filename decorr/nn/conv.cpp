#include "decorr/nn/conv.h"

#include "decorr/core/check.h"
#include "decorr/nn/centred_convolution.h"
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
bool ConvImpl<D, Derived>::rounds_decorrelation() const {
  return options.decorrelation().precision == "bf16";
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

// `matrix`, in the shape of W, times R, with two dimensions of space.
template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::folded(const at::Tensor& matrix) const {
  const at::Tensor kernel =
      decorrelator_->active()
          ? folded_weight(matrix, decorrelator_->matrix(), options.conv().groups(), channels_only(),
                          rounds_decorrelation())
          : matrix;
  return D == 1 ? kernel.unsqueeze(2) : kernel;
}

template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::effective_weight() const {
  return folded(weight).view_as(weight);
}

template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::from_input(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  return folded(matrix).view_as(matrix);
}

// What the kernel W·R meets.
template <std::size_t D, typename Derived>
struct ConvImpl<D, Derived>::Seen {
  at::Tensor x;     // [N, C, H, W]; padded and centred unless that is left to the convolution
  at::Tensor mean;  // [C], to be taken away by the convolution; undefined for none
  ConvolutionSteps steps;
};

// `input` [N, C, H, W] as the convolution reads it.
template <std::size_t D, typename Derived>
auto ConvImpl<D, Derived>::seen(const at::Tensor& input) const -> Seen {
  Seen result{input, {}, {geometry_.stride, {0, 0}, geometry_.dilation, options.conv().groups()}};
  if (decorrelator_->active()) {
    result.mean =
        decorrelator_->uses_batch_mean() ? input.mean({0, 2, 3}) : decorrelator_->running_mean();
    if (centres_before_padding()) {
      result.x = input - result.mean.view({1, -1, 1, 1});
      result.mean = at::Tensor();
    }
  }
  if (geometry_.padding_mode == "zeros" && geometry_.before == geometry_.after) {
    result.steps.padding = geometry_.before;
  } else {
    result.x = geometry_.padded(result.x);
  }
  return result;
}

// `input` with two dimensions of space and a batch, if it fits.
template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::checked(const at::Tensor& input) const {
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
  return input_mean.defined() ? x - input_mean.view({1, -1, 1, 1}) : x;
}

template <std::size_t D, typename Derived>
at::Tensor ConvImpl<D, Derived>::forward(const at::Tensor& input) {
  const at::Tensor x = checked(hooks().input ? hooks().input(input) : input);
  show_rows(x);
  const Seen what = seen(x);
  const at::Tensor& offset = bias.defined() ? bias : bias_offset;  // defined if a mean is
  at::Tensor output =
      hooks().feedback.defined()
          ? feedback_convolution(what.x, what.mean, folded(weight), offset,
                                 folded(hooks().feedback), what.steps)
          : centred_convolution(what.x, what.mean, folded(weight), offset, what.steps);
  if constexpr (D == 1) output = output.squeeze(2);
  if (input.dim() == static_cast<std::int64_t>(D) + 1) output = output.squeeze(0);
  return hooks().output ? hooks().output(output) : output;
}

template <std::size_t D, typename Derived>
void ConvImpl<D, Derived>::accumulate_gradient(const at::Tensor& input, const at::Tensor& error) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = checked(input);
  const auto [height, width] = geometry_.output(x.size(2), x.size(3));
  const std::int64_t channels = options.conv().out_channels();
  check_argument(error.numel() == x.size(0) * channels * height * width,
                 "[{}] the error must be [{}, {}, {}, {}] like the output, got [{}]", name_,
                 x.size(0), channels, height, width, fmt::join(error.sizes(), ", "));
  const at::Tensor delta = error.reshape({x.size(0), channels, height, width});
  if (weight.requires_grad()) {
    const Seen what = seen(x);
    at::Tensor gradient =
        kernel_gradient(what.x, what.mean, D == 1 ? weight.unsqueeze(2) : weight, delta, what.steps)
            .view_as(weight);
    if (decorrelator_->active())
      gradient = unfolded_gradient(gradient, decorrelator_->matrix(), options.conv().groups(),
                                   channels_only(), rounds_decorrelation());
    add_gradient(weight, gradient);
  }
  if (bias.defined() && bias.requires_grad()) add_gradient(bias, delta.sum({0, 2, 3}));
}

template <std::size_t D, typename Derived>
std::vector<whitening::Readout> ConvImpl<D, Derived>::readouts(const MomentsOf& moments) {
  std::vector<whitening::Readout> result{
      {readout_view(weight, channels_only()), bias.defined() ? bias : bias_offset, {}}};
  if (moments)
    for (const at::Tensor& moment : moments(weight))
      result[0].gradients.push_back(readout_view(moment, channels_only()));
  for (const at::Tensor& companion : companions())
    result.push_back({readout_view(companion, channels_only()), {}, {}});
  return result;
}

template class ConvImpl<1, Conv1dImpl>;
template class ConvImpl<2, Conv2dImpl>;

}  // namespace decorr::nn
