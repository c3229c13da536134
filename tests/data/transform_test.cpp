#include "decorr/data/transform.h"

#include "decorr/data/registry.h"

#include "tests/data/support.h"
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::random_dataset;

// The transform of one image [C, H, W] with padding, crop and flip spelt out as tensor operations;
// `size` is the side of the crop, 0 for the image's own.
at::Tensor reference(const at::Tensor& image, const Normalization& normalization,
                     std::int64_t padding, std::int64_t top, std::int64_t left, bool flip,
                     std::int64_t size = 0) {
  const at::Tensor padded = at::constant_pad_nd(image, {padding, padding, padding, padding}, 0);
  at::Tensor crop = padded.narrow(1, top, size > 0 ? size : image.size(1))
                        .narrow(2, left, size > 0 ? size : image.size(2));
  if (flip) crop = crop.flip({2});
  const at::Tensor mean = at::tensor(normalization.mean, at::kDouble).view({-1, 1, 1});
  const at::Tensor std = at::tensor(normalization.std, at::kDouble).view({-1, 1, 1});
  return (crop.to(at::kDouble) / 255.0 - mean) / std;
}

template <typename Scalar>
at::Tensor apply(const Transform& transform, const at::Tensor& image, std::int64_t epoch,
                 std::int64_t index) {
  const at::Tensor output =
      at::full({image.size(0), transform.output_height(), transform.output_width()},
               std::numeric_limits<double>::quiet_NaN(), c10::CppTypeToScalarType<Scalar>::value);
  transform.write(image.data_ptr<std::uint8_t>(), epoch, index, output.data_ptr<Scalar>());
  return output;
}

// Which (top, left, flip) explains the output; fails the test unless exactly one does.
std::tuple<std::int64_t, std::int64_t, bool> explain(const at::Tensor& output,
                                                     const at::Tensor& image,
                                                     const Normalization& normalization,
                                                     const AugmentOptions& augment) {
  std::vector<std::tuple<std::int64_t, std::int64_t, bool>> found;
  const std::int64_t padding = augment.crop_padding;
  const std::int64_t size = augment.crop_size;
  const std::int64_t tops = 2 * padding + (size > 0 ? image.size(1) - size : 0);
  const std::int64_t lefts = 2 * padding + (size > 0 ? image.size(2) - size : 0);
  for (std::int64_t top = 0; top <= tops; ++top)
    for (std::int64_t left = 0; left <= lefts; ++left)
      for (const bool flip : {false, true})
        if (at::equal(output, reference(image, normalization, padding, top, left, flip, size)))
          found.emplace_back(top, left, flip);
  EXPECT_EQ(found.size(), 1U);
  return found.empty() ? std::tuple<std::int64_t, std::int64_t, bool>{} : found.front();
}

TEST(Normalization, MeasuresFashionMnist) {
  const Normalization normalization =
      measure(load("fashion-mnist", "train", "/usr/share/datasets/fashion-mnist"));
  ASSERT_EQ(normalization.mean.size(), 1U);
  EXPECT_NEAR(normalization.mean[0], 0.2860, 5e-5);
  EXPECT_NEAR(normalization.std[0], 0.3530, 5e-5);
}

TEST(Normalization, MatchesFloat64Reference) {
  const Dataset dataset = random_dataset(20, 3, 7, 5);
  dataset.images.select(1, 1).floor_divide_(4);
  const Normalization normalization = measure(dataset);
  for (std::int64_t c = 0; c < 3; ++c) {
    const at::Tensor values = dataset.images.select(1, c).to(at::kDouble) / 255.0;
    const auto channel = static_cast<std::size_t>(c);
    EXPECT_NEAR(normalization.mean[channel], values.mean().item<double>(), 1e-14);
    EXPECT_NEAR(normalization.std[channel], values.std(false).item<double>(), 1e-14);
  }
}

TEST(Normalization, ReadsImagesThatAreNotContiguous) {
  Dataset dataset = random_dataset(20, 3, 7, 5);
  const Normalization expected = measure(dataset);
  dataset.images = dataset.images.contiguous(at::MemoryFormat::ChannelsLast);
  const Normalization normalization = measure(dataset);
  EXPECT_EQ(normalization.mean, expected.mean);
  EXPECT_EQ(normalization.std, expected.std);
}

TEST(Normalization, ConstantChannelHasStdOne) {
  const Dataset dataset = random_dataset(9, 2, 5, 5);
  dataset.images.select(1, 1).fill_(51);
  const Normalization normalization = measure(dataset);
  EXPECT_EQ(normalization.mean[1], 0.2);
  EXPECT_EQ(normalization.std[1], 1.0);
  EXPECT_LT(normalization.std[0], 1.0);
}

TEST(Normalization, RefusesEmptyDataset) {
  const Dataset empty = random_dataset(3, 1, 2, 2).subset({});
  expect_error<std::invalid_argument>([&] { measure(empty); }, {"at least one image"});
}

TEST(Transform, RefusesBadSettings) {
  const auto make = [](const Normalization& normalization, const AugmentOptions& augment) {
    Transform(3, 6, 8, normalization, augment, 0);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  expect_error<std::invalid_argument>([&] { make({{0.5}, {1.0}}, {}); }, {"3 entries", "got 1"});
  expect_error<std::invalid_argument>([&] { make({{0, 0, 0}, {1, 1}}, {}); }, {"got 3 and 2"});
  expect_error<std::invalid_argument>(
      [&] {
        make({{0, 0, 0}, {1, 0, 1}}, {});
      },
      {"std", "above 0", "got 0"});
  expect_error<std::invalid_argument>(
      [&] {
        make({{0, 0, 0}, {1, 1, infinity}}, {});
      },
      {"std", "got inf"});
  expect_error<std::invalid_argument>(
      [&] {
        make({{0, infinity, 0}, {1, 1, 1}}, {});
      },
      {"mean", "got inf"});
  expect_error<std::invalid_argument>(
      [&] {
        make({}, {-1, false});
      },
      {"crop_padding", "[0, 5]", "got -1"});
  expect_error<std::invalid_argument>([&] { make({}, {6, false}); }, {"[0, 5]", "6x8", "got 6"});
  expect_error<std::invalid_argument>(
      [&] {
        make({}, {2, false, 7});
      },
      {"crop_size", "[0, 6]", "6x8", "got 7"});
  expect_error<std::invalid_argument>([&] { make({}, {0, false, -1}); }, {"crop_size", "got -1"});
  expect_error<std::invalid_argument>([] { Transform(0, 6, 8, {}, {}, 0); }, {"[0, 6, 8]"});
}

TEST(Transform, NormalizesWithoutAugmentation) {
  const at::Tensor image = random_dataset(1, 3, 6, 8).images[0];
  const Normalization normalization{{0.1, 0.2, 0.3}, {0.5, 0.6, 0.7}};
  const Transform transform(3, 6, 8, normalization, {}, 1);
  const at::Tensor expected = reference(image, normalization, 0, 0, 0, false);
  EXPECT_TRUE(at::equal(apply<double>(transform, image, 4, 2), expected));
  EXPECT_TRUE(at::equal(apply<float>(transform, image, 4, 2), expected.to(at::kFloat)));
}

TEST(Transform, DefaultNormalizationMapsToUnitInterval) {
  const at::Tensor image = random_dataset(1, 3, 6, 8).images[0];
  const Transform transform(3, 6, 8, {}, {}, 1);
  EXPECT_TRUE(at::equal(apply<double>(transform, image, 0, 0), image.to(at::kDouble) / 255.0));
}

TEST(Transform, AugmentsLikeNaiveReference) {
  const Normalization normalization{{0.1, 0.2, 0.3}, {0.5, 0.6, 0.7}};
  const at::Tensor image = random_dataset(1, 3, 6, 8).images[0] + 1;
  for (const AugmentOptions& augment :
       {AugmentOptions{2, true}, AugmentOptions{5, false}, AugmentOptions{0, true},
        AugmentOptions{0, true, 4}, AugmentOptions{0, false, 6}, AugmentOptions{2, true, 5}}) {
    const Transform transform(3, 6, 8, normalization, augment, 3);
    for (std::int64_t index = 0; index < 40; ++index) {
      const at::Tensor output = apply<double>(transform, image, 1, index);
      const bool flip = std::get<2>(explain(output, image, normalization, augment));
      EXPECT_TRUE(augment.flip || !flip);
      EXPECT_TRUE(at::equal(apply<float>(transform, image, 1, index), output.to(at::kFloat)));
    }
  }
}

TEST(Transform, DrawsEveryPlacementEquallyOften) {
  const Normalization normalization{{0.0}, {1.0}};
  const at::Tensor image = random_dataset(1, 1, 4, 4).images[0] + 1;
  // Nine crops of the padded image, or of the image itself; each mirrored or not.
  for (const AugmentOptions& augment : {AugmentOptions{1, true}, AugmentOptions{0, true, 2}}) {
    const Transform transform(1, 4, 4, normalization, augment, 11);
    constexpr int kDraws = 1800;
    constexpr int kPlacements = 18;
    std::map<std::tuple<std::int64_t, std::int64_t, bool>, int> counts;
    for (std::int64_t index = 0; index < kDraws; ++index)
      ++counts[explain(apply<double>(transform, image, 0, index), image, normalization, augment)];
    EXPECT_EQ(counts.size(), static_cast<std::size_t>(kPlacements));
    // Each count is binomial; five standard errors on each side.
    const double share = 1.0 / kPlacements;
    const double error = std::sqrt(kDraws * share * (1.0 - share));
    for (const auto& [placement, count] : counts) EXPECT_NEAR(count, kDraws * share, 5.0 * error);
  }
}

TEST(Transform, CentreCropIsTheSameInEveryEpoch) {
  const Normalization normalization{{0.1, 0.2, 0.3}, {0.5, 0.6, 0.7}};
  const at::Tensor image = random_dataset(1, 3, 9, 8).images[0];
  const AugmentOptions augment{0, false, 4, true};
  const Transform transform(3, 9, 8, normalization, augment, 3);
  const at::Tensor expected = reference(image, normalization, 0, 2, 2, false, 4);
  for (std::int64_t epoch = 0; epoch < 5; ++epoch)
    EXPECT_TRUE(at::equal(apply<double>(transform, image, epoch, epoch), expected));
}

TEST(Transform, DrawsDependOnSeedEpochAndIndexAlone) {
  const at::Tensor image = random_dataset(1, 1, 8, 8).images[0];
  const AugmentOptions augment{4, true};
  const auto outputs = [&](std::uint64_t seed, std::int64_t epoch, std::int64_t first) {
    const Transform transform(1, 8, 8, {}, augment, seed);
    std::vector<at::Tensor> images;
    for (std::int64_t index = first; index < first + 10; ++index)
      images.push_back(apply<float>(transform, image, epoch, index));
    return at::stack(images);
  };
  EXPECT_TRUE(at::equal(outputs(1, 2, 3), outputs(1, 2, 3)));
  EXPECT_TRUE(at::equal(outputs(1, 2, 3).narrow(0, 1, 9), outputs(1, 2, 4).narrow(0, 0, 9)));
  EXPECT_FALSE(at::equal(outputs(1, 2, 3), outputs(2, 2, 3)));
  EXPECT_FALSE(at::equal(outputs(1, 2, 3), outputs(1, 3, 3)));
  EXPECT_FALSE(at::equal(outputs(1, 2, 3), outputs(1, 2, 13)));
}

}  // namespace
}  // namespace decorr::data
