#include "decorr/data/loader.h"

#include "tests/data/support.h"
#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::random_dataset;

LoaderOptions augmented() {
  return LoaderOptions().batch_size(8).seed(5).augment({2, true}).normalization(
      {{0.1, 0.2, 0.3}, {0.5, 0.6, 0.7}});
}

// A dataset in which the only pixel of image i is i.
Dataset numbered_dataset(std::int64_t count) {
  Dataset dataset = random_dataset(count, 1, 1, 1);
  dataset.images = at::arange(count).to(at::kByte).view({count, 1, 1, 1});
  return dataset;
}

std::vector<Batch> drain(Loader& loader) {
  std::vector<Batch> batches;
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}

std::vector<Batch> epoch_of(const Dataset& dataset, const LoaderOptions& options,
                            std::int64_t epoch, std::int64_t first_batch = 0) {
  Loader loader(dataset, options);
  loader.start(epoch, first_batch);
  return drain(loader);
}

// The images of an epoch of numbered_dataset() in the order in which they came.
std::vector<std::int64_t> order_of(const std::vector<Batch>& batches) {
  std::vector<std::int64_t> order;
  for (const Batch& batch : batches)
    for (std::int64_t i = 0; i < batch.input.size(0); ++i)
      order.push_back(std::lround(batch.input[i].item<double>() * 255.0));
  return order;
}

void expect_same(const std::vector<Batch>& left, const std::vector<Batch>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].index, right[i].index);
    EXPECT_TRUE(at::equal(left[i].input, right[i].input)) << "batch " << left[i].index;
    EXPECT_TRUE(at::equal(left[i].target, right[i].target)) << "batch " << left[i].index;
  }
}

TEST(Loader, OrderIsTheNamedPermutation) {
  const auto options = LoaderOptions().batch_size(7).seed(9);
  for (const std::int64_t epoch : {0, 3}) {
    const auto expected =
        RandomStream(9, "shuffle").at(static_cast<std::uint64_t>(epoch)).permutation(40);
    EXPECT_EQ(order_of(epoch_of(numbered_dataset(40), options, epoch)), expected);
  }
}

TEST(Loader, WithoutShuffleKeepsOrder) {
  const auto options = LoaderOptions().batch_size(7).shuffle(false);
  const std::vector<std::int64_t> order = order_of(epoch_of(numbered_dataset(20), options, 1));
  ASSERT_EQ(order.size(), 20U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(Loader, CropsEachImageByItself) {
  const Dataset dataset = random_dataset(10, 3, 9, 7);
  const auto options = LoaderOptions().batch_size(4).shuffle(false).augment({0, false, 5, true});
  const auto batches = epoch_of(dataset, options, 0);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[0].input.sizes(), (at::IntArrayRef{4, 3, 5, 5}));
  const at::Tensor cropped = dataset.images.narrow(2, 2, 5).narrow(3, 1, 5).to(at::kDouble) / 255;
  const at::Tensor all = at::cat({batches[0].input, batches[1].input, batches[2].input});
  EXPECT_TRUE(at::equal(all, cropped.to(at::kFloat)));
}

TEST(Loader, BatchesHaveTheirShapesTypesAndTargets) {
  const Dataset dataset = numbered_dataset(20);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const auto batches = epoch_of(dataset, LoaderOptions().batch_size(8).dtype(dtype), 0);
    ASSERT_EQ(batches.size(), 3U);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const std::int64_t count = i < 2 ? 8 : 4;
      EXPECT_EQ(batches[i].index, static_cast<std::int64_t>(i));
      EXPECT_EQ(batches[i].input.sizes(), (at::IntArrayRef{count, 1, 1, 1}));
      EXPECT_EQ(batches[i].input.scalar_type(), dtype);
      EXPECT_EQ(batches[i].target.sizes(), (at::IntArrayRef{count}));
      const auto order = order_of({batches[i]});
      for (std::size_t j = 0; j < order.size(); ++j)
        EXPECT_EQ(batches[i].target[static_cast<std::int64_t>(j)].item<std::int64_t>(),
                  order[j] % 10);
    }
  }
}

TEST(Loader, ImagesAreThoseOfTransform) {
  const Dataset dataset = random_dataset(20, 3, 6, 8);
  const LoaderOptions options = augmented();
  const Transform transform(3, 6, 8, options.normalization(), options.augment(), options.seed());
  const auto order = RandomStream(5, "shuffle").at(2).permutation(20);
  std::size_t place = 0;
  for (const Batch& batch : epoch_of(dataset, options, 2)) {
    for (std::int64_t i = 0; i < batch.input.size(0); ++i, ++place) {
      const at::Tensor expected = at::empty({3, 6, 8}, at::kFloat);
      const at::Tensor image = dataset.images[order[place]];
      transform.write(image.data_ptr<std::uint8_t>(), 2, order[place], expected.data_ptr<float>());
      EXPECT_TRUE(at::equal(batch.input[i], expected));
    }
  }
  EXPECT_EQ(place, 20U);
}

TEST(Loader, ReadsTensorsThatAreNotContiguous) {
  const Dataset dataset = random_dataset(20, 3, 6, 8);
  Dataset strided = dataset;
  strided.images = dataset.images.contiguous(at::MemoryFormat::ChannelsLast);
  strided.labels = at::stack({dataset.labels, dataset.labels}, 1).select(1, 0);
  expect_same(epoch_of(dataset, augmented(), 1), epoch_of(strided, augmented(), 1));
}

TEST(Loader, DropLastLeavesOutThePartialBatch) {
  const Dataset dataset = numbered_dataset(20);
  auto options = LoaderOptions().batch_size(8);
  EXPECT_EQ(Loader(dataset, options).batches(), 3);
  const auto all = epoch_of(dataset, options, 0);
  options.drop_last(true);
  EXPECT_EQ(Loader(dataset, options).batches(), 2);
  expect_same(epoch_of(dataset, options, 0), {all[0], all[1]});
  EXPECT_EQ(Loader(dataset, options.batch_size(10)).batches(), 2);
  EXPECT_EQ(Loader(dataset, options.batch_size(20)).batches(), 1);
}

TEST(Loader, BatchLargerThanDatasetHoldsAllOfIt) {
  const auto batches = epoch_of(numbered_dataset(20), LoaderOptions().batch_size(64), 0);
  ASSERT_EQ(batches.size(), 1U);
  const std::vector<std::int64_t> order = order_of(batches);
  EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 20U);
}

TEST(Loader, PrefetchChangesNoBatch) {
  const Dataset dataset = random_dataset(50, 3, 6, 8);
  const auto expected = epoch_of(dataset, augmented(), 4);
  for (const std::int64_t prefetch : {1, 3, 100})
    expect_same(epoch_of(dataset, augmented().prefetch(prefetch), 4), expected);
}

TEST(Loader, EpochsAndSeedsDiffer) {
  const Dataset dataset = numbered_dataset(50);
  const auto order = [&](std::uint64_t seed, std::int64_t epoch) {
    return order_of(epoch_of(dataset, LoaderOptions().batch_size(50).seed(seed), epoch));
  };
  EXPECT_EQ(order(1, 1), order(1, 1));
  EXPECT_NE(order(1, 1), order(1, 2));
  EXPECT_NE(order(1, 1), order(2, 1));
}

TEST(Loader, AugmentationDoesNotDependOnBatchSize) {
  const Dataset dataset = random_dataset(24, 3, 6, 8);
  const auto images = [&](std::int64_t batch_size) {
    std::vector<at::Tensor> inputs;
    for (const Batch& batch : epoch_of(dataset, augmented().batch_size(batch_size), 1))
      inputs.push_back(batch.input);
    return at::cat(inputs);
  };
  EXPECT_TRUE(at::equal(images(24), images(5)));
}

TEST(Loader, ResumedEpochEqualsItsTail) {
  const Dataset dataset = random_dataset(50, 3, 6, 8);
  const auto whole = epoch_of(dataset, augmented(), 6);
  ASSERT_EQ(whole.size(), 7U);
  for (std::int64_t first = 0; first <= 7; ++first)
    expect_same(epoch_of(dataset, augmented(), 6, first), {whole.begin() + first, whole.end()});
}

TEST(Loader, StartMidEpochBeginsTheOtherEpoch) {
  const Dataset dataset = random_dataset(50, 3, 6, 8);
  Loader loader(dataset, augmented());
  Batch batch;
  loader.start(0);
  ASSERT_TRUE(loader.next(batch));
  loader.start(1);
  expect_same(drain(loader), epoch_of(dataset, augmented(), 1));
  EXPECT_FALSE(loader.next(batch));
  loader.start(0);
  expect_same(drain(loader), epoch_of(dataset, augmented(), 0));
}

TEST(Loader, CanBeDestroyedAtAnyPoint) {
  const Dataset dataset = random_dataset(50, 3, 6, 8);
  const auto whole = epoch_of(dataset, augmented(), 0);
  for (int consumed = 0; consumed <= 7; ++consumed) {
    std::vector<Batch> kept;
    {
      Loader loader(dataset, augmented());
      loader.start(0);
      for (int i = 0; i < consumed; ++i) {
        Batch batch;
        ASSERT_TRUE(loader.next(batch));
        kept.push_back(batch);
      }
    }
    // What was consumed outlives the loader.
    expect_same(kept, {whole.begin(), whole.begin() + consumed});
  }
  const Loader never_started(dataset, augmented());
}

TEST(Loader, RefusedStartLeavesEpochUnderWay) {
  const Dataset dataset = random_dataset(50, 3, 6, 8);
  Loader loader(dataset, augmented());
  loader.start(0);
  expect_error<std::invalid_argument>([&] { loader.start(-1); }, {"epoch", "got -1"});
  expect_error<std::invalid_argument>([&] { loader.start(1, 8); },
                                      {"first_batch", "[0, 7]", "got 8"});
  expect_error<std::invalid_argument>([&] { loader.start(1, -1); }, {"first_batch", "got -1"});
  expect_same(drain(loader), epoch_of(dataset, augmented(), 0));
}

TEST(Loader, RefusesNextBeforeStart) {
  Loader loader(numbered_dataset(5), LoaderOptions());
  Batch batch;
  expect_error<std::invalid_argument>([&] { loader.next(batch); }, {"start(epoch)"});
}

TEST(Loader, RefusesBadOptions) {
  const Dataset dataset = random_dataset(20, 3, 6, 8);
  const auto expect = [&](const LoaderOptions& options, const std::vector<std::string>& parts) {
    expect_error<std::invalid_argument>([&] { Loader(dataset, options); }, parts);
  };
  expect(LoaderOptions().batch_size(0), {"batch_size", "at least 1", "got 0"});
  expect(LoaderOptions().prefetch(0), {"prefetch", "at least 1", "got 0"});
  expect(LoaderOptions().dtype(at::kHalf), {"float32 or float64", "Half"});
  expect(LoaderOptions().batch_size(21).drop_last(true), {"at most 20", "got 21", "no batch"});
  expect(LoaderOptions().augment({6, false}), {"crop_padding", "[0, 5]", "got 6"});
  expect(LoaderOptions().normalization({{0.5}, {0.5}}), {"3 entries", "got 1"});
}

TEST(Loader, RefusesEmptyOrMalformedDataset) {
  Dataset dataset = random_dataset(20, 3, 6, 8);
  expect_error<std::invalid_argument>([&] { Loader(dataset.subset({}), LoaderOptions()); },
                                      {"at least one image"});
  dataset.labels[0] = 10;
  expect_error<std::invalid_argument>([&] { Loader(dataset, LoaderOptions()); }, {"[0, 10)"});
}

}  // namespace
}  // namespace decorr::data
