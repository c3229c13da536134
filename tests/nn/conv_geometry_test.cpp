#include "decorr/nn/conv_geometry.h"

#include <gtest/gtest.h>

#include "tests/nn/conv_support.h"
#include <numeric>

namespace decorr::nn {
namespace {

// All patches of `x`, a row each, by padding and unfolding everything.
at::Tensor unfolded(const at::Tensor& x, const Looks& looks) {
  const at::Tensor patches = naive_patches(naive_padded(x, looks), looks).flatten(1, 2);
  return patches.transpose(1, 2).reshape({-1, patches.size(1)});
}

std::vector<std::int64_t> all_positions(std::int64_t count) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(count));
  std::iota(positions.begin(), positions.end(), std::int64_t{0});
  return positions;
}

template <std::size_t D>
void expect_same_looks(const ConvCase<D>& item) {
  const Looks& looks = item.looks;
  const ConvGeometry geometry(item.options, "test");
  EXPECT_EQ(geometry.kernel, looks.kernel);
  EXPECT_EQ(geometry.stride, looks.stride);
  EXPECT_EQ(geometry.dilation, looks.dilation);
  EXPECT_EQ(geometry.before, looks.before);
  EXPECT_EQ(geometry.after, looks.after);
  EXPECT_EQ(geometry.padding_mode, looks.mode);
  EXPECT_EQ(geometry.pads(), looks.before != Pair{} || looks.after != Pair{});
}

TEST(ConvGeometry, ReadsTheOptions) {
  for (const auto& item : conv1d_cases()) {
    SCOPED_TRACE(item.name);
    expect_same_looks(item);
  }
  for (const auto& item : conv2d_cases()) {
    SCOPED_TRACE(item.name);
    expect_same_looks(item);
  }
}

TEST(ConvGeometry, PadsAsTheReferenceDoes) {
  for (const auto& item : conv2d_cases()) {
    SCOPED_TRACE(item.name);
    const at::Tensor x = normal({2, 3, item.looks.size[0], item.looks.size[1]}, 1);
    EXPECT_TRUE(
        at::equal(ConvGeometry(item.options, "test").padded(x), naive_padded(x, item.looks)));
  }
}

TEST(ConvGeometry, OutputIsZeroWhereTheKernelDoesNotFit) {
  const ConvGeometry geometry(torch::nn::Conv2dOptions(1, 1, {3, 2}).stride(2).dilation({2, 1}),
                              "test");
  EXPECT_EQ(geometry.output(5, 2), (Pair{1, 1}));
  EXPECT_EQ(geometry.output(4, 2), (Pair{0, 1}));
  EXPECT_EQ(geometry.output(8, 1), (Pair{2, 0}));
}

TEST(ConvGeometry, GathersWhatUnfoldingEverythingGives) {
  for (const auto& item : conv2d_cases()) {
    SCOPED_TRACE(item.name);
    const ConvGeometry geometry(item.options, "test");
    const at::Tensor x = normal({3, 4, item.looks.size[0], item.looks.size[1]}, 1);
    const at::Tensor expected = unfolded(x, item.looks);
    const auto [rows, columns] = geometry.output(x.size(2), x.size(3));
    ASSERT_EQ(expected.size(0), 3 * rows * columns);
    const whitening::Rows all =
        gather_patches(x, geometry, all_positions(expected.size(0)), /*mark_padding=*/false);
    EXPECT_TRUE(at::equal(all.x, expected));
    EXPECT_FALSE(all.centred.defined());

    // Some of them, in any order, of inputs that lie otherwise in memory.
    const std::vector<std::int64_t> some{expected.size(0) - 1, 0, expected.size(0) / 2};
    const at::Tensor picked = expected.index_select(0, at::tensor(some, at::kLong));
    for (const at::Tensor& strided : {x.contiguous(at::MemoryFormat::ChannelsLast),
                                      x.permute({3, 2, 1, 0}).contiguous().permute({3, 2, 1, 0}),
                                      at::cat({x, x}, 3).narrow(3, 0, x.size(3))})
      EXPECT_TRUE(at::equal(gather_patches(strided, geometry, some, false).x, picked));
  }
}

TEST(ConvGeometry, MarksZeroPadding) {
  for (const auto& item : conv2d_cases()) {
    SCOPED_TRACE(item.name);
    const ConvGeometry geometry(item.options, "test");
    const at::Tensor x = normal({2, 4, item.looks.size[0], item.looks.size[1]}, 1);
    const at::Tensor inside = unfolded(at::ones_like(x), item.looks);
    const whitening::Rows rows =
        gather_patches(x, geometry, all_positions(inside.size(0)), /*mark_padding=*/true);
    EXPECT_TRUE(at::equal(rows.x, unfolded(x, item.looks)));
    if (inside.min().item<double>() == 1) {
      EXPECT_FALSE(rows.centred.defined());
    } else {
      EXPECT_TRUE(at::equal(rows.centred, inside));
    }
  }
}

TEST(ConvGeometry, GatheringIsNotDifferentiable) {
  const at::Tensor x = normal({2, 4, 5, 5}, 1).set_requires_grad(true);
  EXPECT_FALSE(gather_patches(x, ConvGeometry(), {0, 3}, false).x.requires_grad());
}

// 2⁴⁶ numbers, shown by one: nothing of the input's size can be formed.
TEST(ConvGeometry, GatheringFormsNothingButThePatches) {
  constexpr std::int64_t kSide = 1024, kChannels = 64, kSamples = std::int64_t{1} << 20;
  const at::Tensor x = at::full({1, 1, 1, 1}, 3.0).expand({kSamples, kChannels, kSide, kSide});
  const ConvGeometry geometry(torch::nn::Conv2dOptions(kChannels, 1, 3).padding(1), "test");
  const std::int64_t last = kSamples * kSide * kSide - 1;
  const at::Tensor rows = gather_patches(x, geometry, {0, last - kSide - 1, last}, true).x;
  ASSERT_EQ(rows.sizes(), (at::IntArrayRef{3, kChannels * 9}));
  // The first and the last position are corners, with 4 of 9 entries in the image.
  EXPECT_EQ(rows[0].sum().item<double>(), 3 * 4 * kChannels);
  EXPECT_EQ(rows[1].sum().item<double>(), 3 * 9 * kChannels);
  EXPECT_EQ(rows[2].sum().item<double>(), 3 * 4 * kChannels);
}

TEST(ConvGeometry, RefusesBadOptions) {
  using Options = torch::nn::Conv2dOptions;
  const auto message = [](const Options& options) {
    return message_of([&] { ConvGeometry(options, "Name"); });
  };
  EXPECT_EQ(message(Options(1, 1, {3, 0})), "[Name] kernel_size must be at least 1, got [3, 0]");
  EXPECT_EQ(message(Options(1, 1, 3).stride({0, 1})),
            "[Name] stride must be at least 1, got [0, 1]");
  EXPECT_EQ(message(Options(1, 1, 3).dilation(-1)),
            "[Name] dilation must be at least 1, got [-1, -1]");
  EXPECT_EQ(message(Options(1, 1, 3).padding({1, -2})),
            "[Name] padding must be at least 0, got [1, -2]");
  EXPECT_EQ(message(Options(1, 1, 3).padding(torch::kSame).stride({1, 2})),
            "[Name] stride must be 1 with padding \"same\", got [1, 2]");
  EXPECT_EQ(message_of([] { ConvGeometry(torch::nn::Conv1dOptions(1, 1, 0), "Name"); }),
            "[Name] kernel_size must be at least 1, got [0]");
}

TEST(ConvGeometry, RefusesInputsThatAreTooSmall) {
  const auto message = [](const auto& options, std::int64_t height, std::int64_t width) {
    return message_of([&] { ConvGeometry(options, "Name").check_input(height, width, "Name"); });
  };
  torch::nn::Conv2dOptions options(1, 1, {5, 3});
  options.padding({1, 2}).dilation({1, 3});
  EXPECT_EQ(message(options, 2, 9),
            "[Name] input must not be smaller, with padding, than the kernel [5, 3] with dilation "
            "[1, 3], got [2, 9] with padding [1, 2] and [1, 2]");
  const std::string accepted = "no std::invalid_argument was thrown";
  EXPECT_EQ(message(options, 3, 3), accepted);
  EXPECT_EQ(message(options.padding_mode(torch::kReflect), 3, 3), accepted);
  EXPECT_EQ(message(options, 3, 2),
            "[Name] input must not be smaller, with padding, than the kernel [5, 3] with dilation "
            "[1, 3], got [3, 2] with padding [1, 2] and [1, 2]");
  options.dilation(1);
  EXPECT_EQ(message(options, 3, 2),
            "[Name] input must be larger than its reflect padding, [1, 2] and [1, 2], got [3, 2]");
  EXPECT_EQ(message(options.padding_mode(torch::kCircular), 3, 2), accepted);
  EXPECT_EQ(
      message(options, 3, 1),
      "[Name] input must be at least as large as its circular padding, [1, 2] and [1, 2], got "
      "[3, 1]");
  EXPECT_EQ(message(options.padding_mode(torch::kReplicate), 3, 1), accepted);
  EXPECT_EQ(message(torch::nn::Conv1dOptions(1, 1, 4), 1, 3),
            "[Name] input must not be smaller, with padding, than the kernel [4] with dilation "
            "[1], got [3] with padding [0] and [0]");
}

}  // namespace
}  // namespace decorr::nn
