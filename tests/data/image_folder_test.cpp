#include "decorr/data/registry.h"

#include "tests/data/file_support.h"

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

using testing::expect_error;
using testing::plain;
using testing::png;
using testing::ScopedVariable;
using testing::stderr_of;
using testing::TemporaryFolder;
using testing::write_deep;

class ImageFolder : public ::testing::Test {
 protected:
  ImageFolder() : data_("DECORR_DATA", cache_.str()) {
    put("train/cat/b.png", png(plain(10, 0, 0, 4, 4)));
    put("train/cat/a.PNG", png(plain(20, 0, 0, 4, 4)));
    put("train/ape/x.jpeg", testing::jpeg(plain(30, 30, 30, 4, 4)));
    put("train/ape/deeper/y.png", png(at::full({1, 4, 4}, 40, at::kByte)));
    put("train/ape/notes.txt", "no image");
    put("train/.hidden/z.png", "no image");
    put("test/cat/c.png", png(plain(50, 1, 2, 4, 4)));
  }

  void put(const std::string& path, const std::string& bytes) { write_deep(root_ / path, bytes); }

  Dataset read(const std::string& split, std::int64_t size = 0, bool skip = false) const {
    LoadOptions options;
    options.root = root_.str();
    options.images = {size, skip};
    return load("image-folder", split, options);
  }

  // The one cache file of the part.
  std::string cache(const std::string& split) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(cache_ / "decoded"))
      if (entry.path().filename().string().find("-" + split + "-") != std::string::npos)
        found.push_back(entry.path().string());
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? "" : found.front();
  }

  TemporaryFolder root_;
  TemporaryFolder cache_;
  ScopedVariable data_;
};

TEST_F(ImageFolder, ReadsSortedClassesAndFiles) {
  const Dataset train = read("train");
  EXPECT_THAT(train.classes, ::testing::ElementsAre("ape", "cat"));
  EXPECT_TRUE(at::equal(train.labels, at::tensor({0, 0, 1, 1}, at::kLong)));
  EXPECT_EQ(train.images.sizes(), (at::IntArrayRef{4, 3, 4, 4}));
  EXPECT_TRUE(at::equal(train.images[0], plain(40, 40, 40, 4, 4)));  // deeper/y.png, once grey
  EXPECT_TRUE(at::equal(train.images[2], plain(20, 0, 0, 4, 4)));
  EXPECT_TRUE(at::equal(train.images[3], plain(10, 0, 0, 4, 4)));
  const Dataset test = read("test");
  EXPECT_THAT(test.classes, ::testing::ElementsAre("ape", "cat"));
  EXPECT_TRUE(at::equal(test.labels, at::tensor({1}, at::kLong)));
}

TEST_F(ImageFolder, CanBeStopped) {
  LoadOptions options;
  options.root = root_.str();
  int asked = 0;
  options.images.should_stop = [&] { return ++asked == 2; };  // once for the headers
  EXPECT_THROW(load("image-folder", "train", options), LoadStopped);
  EXPECT_TRUE(fs::is_empty(cache_.str()));
  options.images.should_stop = [] { return false; };
  EXPECT_EQ(load("image-folder", "train", options).size(), 4);
}

TEST_F(ImageFolder, TheTestPartMayBeCalledVal) {
  fs::rename(root_ / "test", root_ / "val");
  EXPECT_EQ(read("test").size(), 1);
}

TEST_F(ImageFolder, GreyStaysOneChannelUnlessAnyImageIsInColour) {
  fs::remove_all(root_ / "train");
  put("train/cat/a.png", png(at::full({1, 4, 4}, 7, at::kByte)));
  EXPECT_EQ(read("train").images.sizes(), (at::IntArrayRef{1, 3, 4, 4}));  // test is in colour
  put("test/cat/c.png", png(at::full({1, 4, 4}, 8, at::kByte)));
  EXPECT_EQ(read("train").images.sizes(), (at::IntArrayRef{1, 1, 4, 4}));
  EXPECT_EQ(read("test").images.sizes(), (at::IntArrayRef{1, 1, 4, 4}));
}

TEST_F(ImageFolder, SizesMustAgreeOrBeSet) {
  put("test/cat/d.png", png(plain(1, 2, 3, 6, 9)));
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {"must have one size", root_ / "train/ape/deeper/y.png is 4 x 4",
                                    root_ / "test/cat/d.png is 6 x 9", "data.image_size"});
  EXPECT_EQ(read("train", 3).images.sizes(), (at::IntArrayRef{4, 3, 3, 3}));
  const Dataset test = read("test", 3);
  EXPECT_TRUE(at::equal(test.images[1], plain(1, 2, 3, 3, 3)));
}

TEST_F(ImageFolder, DecodedImagesAreKept) {
  const Dataset first = read("train");
  const std::string kept = testing::read_file(cache("train"));
  const auto time = fs::last_write_time(cache("train"));
  // Same size and time: nobody would notice but who opens the file.
  const std::string file = root_ / "train/cat/b.png";
  const auto changed = fs::last_write_time(file);
  std::string bytes = testing::read_file(file);
  testing::write_file(file, std::string(bytes.size(), 'x'));
  fs::last_write_time(file, changed);
  Dataset second;
  EXPECT_EQ(stderr_of([&] { second = read("train"); }), "");
  EXPECT_TRUE(at::equal(second.images, first.images));
  EXPECT_TRUE(at::equal(second.labels, first.labels));
  EXPECT_EQ(fs::last_write_time(cache("train")), time);
  EXPECT_EQ(testing::read_file(cache("train")), kept);
}

TEST_F(ImageFolder, AnOutdatedCacheIsRebuilt) {
  read("train");
  put("train/cat/new.png", png(plain(9, 9, 9, 4, 4)));
  Dataset train;
  EXPECT_THAT(stderr_of([&] { train = read("train"); }),
              ::testing::AllOf(::testing::HasSubstr("decorr: note: "),
                               ::testing::HasSubstr(cache("train") + " are out of date")));
  EXPECT_EQ(train.size(), 5);
  EXPECT_EQ(stderr_of([&] { train = read("train"); }), "");
  EXPECT_EQ(train.size(), 5);
}

TEST_F(ImageFolder, ADamagedCacheIsRebuilt) {
  const Dataset expected = read("train");
  const std::string path = cache("train");
  const std::string good = testing::read_file(path);
  std::string flipped = good;
  flipped[good.size() - 5] = static_cast<char>(flipped[good.size() - 5] ^ 1);
  for (const std::string& bad : {flipped, good.substr(0, good.size() / 2), std::string()}) {
    testing::write_file(path, bad);
    Dataset train;
    EXPECT_THAT(stderr_of([&] { train = read("train"); }),
                ::testing::HasSubstr(path + " are damaged ("));
    EXPECT_TRUE(at::equal(train.images, expected.images));
    EXPECT_EQ(testing::read_file(path), good);
  }
}

TEST_F(ImageFolder, WithoutRoomForTheCacheImagesAreStillRead) {
  testing::write_file(cache_ / "decoded", "a file where the folder should be");
  Dataset train;
  EXPECT_THAT(stderr_of([&] { train = read("train"); }),
              ::testing::HasSubstr("decorr: note: the decoded images are not kept"));
  EXPECT_EQ(train.size(), 4);
  const ScopedVariable data("DECORR_DATA", std::nullopt);
  const ScopedVariable home("HOME", std::nullopt);
  EXPECT_THAT(stderr_of([&] { train = read("train"); }), ::testing::HasSubstr("HOME"));
  EXPECT_EQ(train.size(), 4);
}

TEST_F(ImageFolder, CorruptImagesFailOrAreSkipped) {
  const std::string good = testing::jpeg(testing::random_dataset(1, 3, 4, 4).images[0]);
  put("train/cat/bad.jpg", good.substr(0, good.size() - 60));  // a whole header
  put("train/cat/worse.jpg", "not even that");
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {root_ / "train/cat/worse.jpg is neither a JPEG nor a PNG"});
  put("train/cat/worse.jpg", good.substr(0, 30));
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {root_ / "train/cat/worse.jpg is cut off or damaged"});
  fs::remove(root_ / "train/cat/worse.jpg");
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {root_ / "train/cat/bad.jpg is cut off or damaged"});
  put("train/ape/worse.jpg", good.substr(0, 30));

  // From the files and from the cache alike; and the cache does not let them pass afterwards.
  for (int i = 0; i < 2; ++i) {
    Dataset train;
    EXPECT_EQ(stderr_of([&] { train = read("train", 0, true); }),
              "decorr: note: skipped 2 corrupt images of image-folder (train): "
              "train/ape/worse.jpg, train/cat/bad.jpg\n");
    EXPECT_TRUE(at::equal(train.labels, at::tensor({0, 0, 1, 1}, at::kLong)));
    EXPECT_TRUE(at::equal(train.images[3], plain(10, 0, 0, 4, 4)));
  }
  expect_error<std::runtime_error>([&] { read("train"); }, {root_ / "train/ape/worse.jpg"});
  EXPECT_EQ(stderr_of([&] { read("test", 0, true); }), "");
}

TEST_F(ImageFolder, SomeImageMustBeLeft) {
  put("test/cat/c.png", "broken");
  expect_error<std::runtime_error>([&] { read("test", 0, true); },
                                   {"none of the 1 images of image-folder (test)", root_.str()});
}

TEST_F(ImageFolder, ClassFoldersMustHaveImages) {
  put("train/bee/notes.txt", "no image");
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {"class folder " + (root_ / "train/bee") + " has no images"});
  fs::remove_all(root_ / "train/bee");
  put("test/dog/d.png", png(plain(1, 1, 1, 4, 4)));
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {root_ / "test/dog is the folder of a class", "does not have"});
  fs::remove_all(root_ / "test");
  expect_error<std::runtime_error>([&] { read("train"); },
                                   {root_.str() + " (lacks test/ or val/)"});
  fs::create_directory(root_ / "test");
  expect_error<std::runtime_error>([&] { read("train"); }, {root_ / "test has no folders"});
}

TEST_F(ImageFolder, NeedsARoot) {
  expect_error<std::runtime_error>([] { find("image-folder"); },
                                   {"no root is given", "train/ and test/", "--root"});
}

}  // namespace
}  // namespace decorr::data
