#include "decorr/data/registry.h"

#include "tests/data/file_support.h"

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::jpeg;
using testing::plain;
using testing::ScopedVariable;
using testing::TemporaryFolder;
using testing::write_deep;

class TinyImageNet : public ::testing::Test {
 protected:
  TinyImageNet() : data_("DECORR_DATA", home_.str()) {
    put("wnids.txt", "n03\nn01\n");
    put("words.txt", "n01\tgoldfish, Carassius auratus\nn02\tnot here\n");
    put("train/n01/n01_boxes.txt", "n01_0.JPEG\t0\t0\t1\t1\n");
    put("train/n01/images/n01_0.JPEG", jpeg(plain(200, 0, 0, 64, 64)));
    put("train/n03/images/n03_0.JPEG", jpeg(at::full({1, 64, 64}, 100, at::kByte)));
    put("train/n03/images/n03_1.JPEG", jpeg(plain(0, 200, 0, 64, 64)));
    put("val/images/val_0.JPEG", jpeg(plain(0, 0, 200, 64, 64)));
    put("val/images/val_1.JPEG", jpeg(plain(9, 9, 9, 64, 64)));
    put("val/val_annotations.txt", "val_1.JPEG\tn01\t0\t32\t44\t62\nval_0.JPEG\tn03\t1\t2\t3\t4\n");
  }

  void put(const std::string& path, const std::string& bytes) {
    write_deep(home_ / ("tiny-imagenet/tiny-imagenet-200/" + path), bytes);
  }

  void refuse(const std::vector<std::string>& parts) {
    expect_error<std::runtime_error>([] { load("tiny-imagenet", "test"); }, parts);
  }

  TemporaryFolder home_;
  ScopedVariable data_;
};

TEST_F(TinyImageNet, ReadsTheOfficialLayout) {
  const Dataset train = load("tiny-imagenet", "train");
  EXPECT_THAT(train.classes, ::testing::ElementsAre("goldfish", "n03"));
  EXPECT_EQ(train.images.sizes(), (at::IntArrayRef{3, 3, 64, 64}));
  EXPECT_TRUE(at::equal(train.labels, at::tensor({0, 1, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(train.images[1], at::full({3, 64, 64}, 100, at::kByte)));
  const Dataset test = load("tiny-imagenet", "test");
  EXPECT_TRUE(at::equal(test.labels, at::tensor({1, 0}, at::kLong)));
  EXPECT_NEAR(test.images[0][2][5][5].item<int>(), 200, 2);
}

TEST_F(TinyImageNet, RefusesWhatIsNotWhole) {
  const std::string root = home_ / "tiny-imagenet/tiny-imagenet-200/";
  put("val/val_annotations.txt", "val_0.JPEG\tn02\t1\t2\t3\t4\n");
  refuse({root + "val/val_annotations.txt", "got \"val_0.JPEG n02 1 2 3 4\"", "download"});
  put("val/val_annotations.txt", "val_7.JPEG\tn01\t1\t2\t3\t4\n");
  refuse({root + "val/images/val_7.JPEG", "not there", "download"});
  put("val/val_annotations.txt", "");
  refuse({"names no image"});
  put("wnids.txt", "n01\nn05\n");
  refuse({root + "train/n05/images"});
  std::filesystem::create_directories(root + "train/n05/images");
  refuse({"class folder " + root + "train/n05/images has no images"});
  put("wnids.txt", "");
  refuse({"names no class"});
  std::filesystem::remove(root + "wnids.txt");
  refuse({"'tiny-imagenet' was not found", "lacks wnids.txt", "decorr data fetch tiny-imagenet"});
}

}  // namespace
}  // namespace decorr::data
