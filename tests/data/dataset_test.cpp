#include "decorr/data/dataset.h"

#include "tests/data/support.h"
#include <algorithm>
#include <set>
#include <vector>

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::random_dataset;

// A dataset in which image i is filled with the value i, so that an image tells where it is from.
Dataset numbered_dataset(std::int64_t count) {
  Dataset dataset = random_dataset(count, 1, 2, 2);
  dataset.images =
      at::arange(count).to(at::kByte).view({count, 1, 1, 1}).expand({count, 1, 2, 2}).contiguous();
  return dataset;
}

std::vector<std::int64_t> numbers(const Dataset& dataset) {
  const at::Tensor first = dataset.images.select(3, 0).select(2, 0).flatten().to(at::kLong);
  return {first.data_ptr<std::int64_t>(), first.data_ptr<std::int64_t>() + first.numel()};
}

TEST(Dataset, SizeIsNumberOfImages) {
  EXPECT_EQ(random_dataset(7, 3, 2, 2).size(), 7);
  EXPECT_EQ(Dataset{}.size(), 0);
}

TEST(Dataset, SubsetKeepsImageLabelPairs) {
  const Dataset dataset = numbered_dataset(30);
  const Dataset subset = dataset.subset({29, 3, 3, 0});
  EXPECT_EQ(numbers(subset), (std::vector<std::int64_t>{29, 3, 3, 0}));
  EXPECT_TRUE(at::equal(subset.labels, at::tensor({9, 3, 3, 0}, at::kLong)));
  EXPECT_EQ(subset.name, dataset.name);
  EXPECT_EQ(subset.classes, dataset.classes);
  EXPECT_EQ(dataset.subset({}).size(), 0);
}

TEST(Dataset, SubsetIsACopy) {
  const Dataset dataset = numbered_dataset(5);
  dataset.subset({1, 2}).images.fill_(77);
  EXPECT_EQ(numbers(dataset), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST(Dataset, SubsetRefusesIndexOutOfRange) {
  const Dataset dataset = numbered_dataset(5);
  expect_error<std::invalid_argument>([&] { dataset.subset({0, 5}); }, {"[0, 5)", "got 5"});
  expect_error<std::invalid_argument>([&] { dataset.subset({-1}); }, {"[0, 5)", "got -1"});
}

TEST(Dataset, ValidateAcceptsWellFormed) {
  EXPECT_NO_THROW(numbered_dataset(5).validate());
  EXPECT_NO_THROW(numbered_dataset(5).subset({}).validate());
}

TEST(Dataset, ValidateRefusesWrongTypesAndShapes) {
  const Dataset good = random_dataset(12, 3, 4, 5);
  const auto expect = [](const Dataset& bad, const std::vector<std::string>& parts) {
    expect_error<std::invalid_argument>([&] { bad.validate(); }, parts);
  };
  Dataset bad = good;
  bad.images = at::Tensor();
  expect(bad, {"random", "must have images and labels"});
  bad = good;
  bad.images = good.images.to(at::kFloat);
  expect(bad, {"uint8 [N, C, H, W]", "Float"});
  bad = good;
  bad.images = good.images.flatten(1);
  expect(bad, {"uint8 [N, C, H, W]", "[12, 60]"});
  bad = good;
  bad.images = good.images.narrow(3, 0, 0);
  expect(bad, {"at least one", "[12, 3, 4, 0]"});
  bad = good;
  bad.labels = good.labels.to(at::kInt);
  expect(bad, {"int64 [N]", "Int"});
  bad = good;
  bad.labels = good.labels.view({12, 1});
  expect(bad, {"int64 [N]", "[12, 1]"});
}

TEST(Dataset, ValidateRefusesCountsThatDiffer) {
  Dataset dataset = random_dataset(12, 1, 4, 5);
  dataset.labels = dataset.labels.narrow(0, 0, 11);
  expect_error<std::invalid_argument>([&] { dataset.validate(); }, {"12 images", "11 labels"});
}

TEST(Dataset, ValidateRefusesLabelsOutOfRange) {
  Dataset dataset = random_dataset(12, 1, 4, 5);
  dataset.labels[3] = 10;
  expect_error<std::invalid_argument>([&] { dataset.validate(); }, {"[0, 10)", "got 10"});
  dataset.labels[3] = -2;
  expect_error<std::invalid_argument>([&] { dataset.validate(); }, {"[0, 10)", "got -2"});
}

TEST(SplitValidation, PartsAreDisjointAndCompleteAndOrdered) {
  const auto [train, validation] = split_validation(numbered_dataset(100), 30, 5);
  EXPECT_EQ(train.size(), 70);
  EXPECT_EQ(validation.size(), 30);
  std::set<std::int64_t> seen;
  for (const Dataset* part : {&train, &validation}) {
    const std::vector<std::int64_t> places = numbers(*part);
    EXPECT_TRUE(std::is_sorted(places.begin(), places.end()));
    seen.insert(places.begin(), places.end());
    for (std::size_t i = 0; i < places.size(); ++i)
      EXPECT_EQ(part->labels[static_cast<std::int64_t>(i)].item<std::int64_t>(), places[i] % 10);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(SplitValidation, DependsOnSeedAlone) {
  const Dataset dataset = numbered_dataset(100);
  const auto chosen = [&](std::uint64_t seed) {
    return numbers(split_validation(dataset, 30, seed).second);
  };
  EXPECT_EQ(chosen(5), chosen(5));
  EXPECT_NE(chosen(5), chosen(6));
}

TEST(SplitValidation, RefusesCountsThatLeaveAPartEmpty) {
  const Dataset dataset = numbered_dataset(10);
  for (const std::int64_t count : {-1, 0, 10, 11})
    expect_error<std::invalid_argument>(
        [&] { split_validation(dataset, count, 0); },
        {"validation_count", "10 images", "got " + std::to_string(count)});
}

}  // namespace
}  // namespace decorr::data
