#include "decorr/data/contact_sheet.h"

#include "tests/data/support.h"

namespace decorr::data {
namespace {

TEST(ContactSheet, HasARowForEachClass) {
  Dataset dataset = testing::random_dataset(6, 3, 40, 50);
  dataset.labels = at::tensor({1, 0, 1, 1, 3, 1}, at::kLong);
  dataset.classes = {"a", "b", "c", "d"};
  const at::Tensor sheet = contact_sheet(dataset, 3, 2);
  ASSERT_EQ(sheet.sizes(), (at::IntArrayRef{3, 3 * 42 + 2, 2 * 52 + 2}));
  const auto cell = [&](std::int64_t row, std::int64_t column) {
    return sheet.narrow(1, 2 + row * 42, 40).narrow(2, 2 + column * 52, 50);
  };
  const at::Tensor black = at::zeros({3, 40, 50}, at::kByte);
  EXPECT_TRUE(at::equal(cell(0, 0), dataset.images[1]));
  EXPECT_TRUE(at::equal(cell(0, 1), black));
  EXPECT_TRUE(at::equal(cell(1, 0), dataset.images[0]));
  EXPECT_TRUE(at::equal(cell(1, 1), dataset.images[2]));
  EXPECT_TRUE(at::equal(cell(2, 0), black));
  EXPECT_TRUE(at::equal(sheet.select(2, 53), at::full({3, 128}, 128, at::kByte)));
}

TEST(ContactSheet, MagnifiesSmallImages) {
  const Dataset dataset = testing::random_dataset(10, 1, 16, 16);
  const at::Tensor sheet = contact_sheet(dataset, 20, 1);
  ASSERT_EQ(sheet.sizes(), (at::IntArrayRef{1, 10 * 66 + 2, 68}));
  for (const std::int64_t y : {0, 63})
    for (const std::int64_t x : {0, 4, 63})
      EXPECT_EQ(sheet[0][2 + y][2 + x].item<int>(), dataset.images[0][0][y / 4][x / 4].item<int>());
}

TEST(ContactSheet, RefusesWhatHasNoCells) {
  const Dataset dataset = testing::random_dataset(3, 1, 2, 2);
  testing::expect_error<std::invalid_argument>([&] { contact_sheet(dataset, 0, 1); },
                                               {"at least 1, got 0 and 1"});
  testing::expect_error<std::invalid_argument>([&] { contact_sheet(dataset.subset({})); },
                                               {"at least one image"});
}

}  // namespace
}  // namespace decorr::data
