#include "decorr/data/registry.h"

#include "tests/data/file_support.h"
#include <filesystem>

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::ScopedVariable;
using testing::TemporaryFolder;

const char* const kDebianFolder = "/usr/share/datasets/fashion-mnist";

// Writes a tiny dataset in MNIST's format: 4 images to train, 2 to test, labels 0 … 3 and 8, 9.
void write_mnist(const std::string& folder, bool gzip) {
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& bytes) {
    if (gzip) {
      testing::write_gzip(folder + "/" + name + ".gz", bytes);
    } else {
      testing::write_file(folder + "/" + name, bytes);
    }
  };
  write("train-images-idx3-ubyte", testing::idx_images(4, 28, 28));
  write("train-labels-idx1-ubyte", testing::idx_labels(std::string("\0\1\2\3", 4)));
  write("t10k-images-idx3-ubyte", testing::idx_images(2, 28, 28));
  write("t10k-labels-idx1-ubyte", testing::idx_labels("\x08\x09"));
}

TEST(Registry, KnowsItsDatasets) {
  std::vector<std::string> names;
  for (const DatasetInfo& info : known_datasets()) {
    names.push_back(info.name);
    EXPECT_FALSE(info.description.empty());
    EXPECT_FALSE(info.how_to_get.empty());
  }
  EXPECT_THAT(names, ::testing::ElementsAre("mnist", "fashion-mnist", "cifar10", "cifar100",
                                            "tiny-imagenet", "image-folder", "numpy", "gaussian"));
  EXPECT_EQ(known_datasets()[0].classes[7], "7");
  EXPECT_EQ(known_datasets()[1].classes[9], "Ankle boot");
  EXPECT_EQ(known_datasets()[3].classes[99], "worm");
}

TEST(Registry, LoadsRealFashionMnist) {
  const Dataset train = load("fashion-mnist", "train", kDebianFolder);
  EXPECT_EQ(train.images.sizes(), (at::IntArrayRef{60000, 1, 28, 28}));
  EXPECT_EQ(train.size(), 60000);
  EXPECT_EQ(train.name, "fashion-mnist");
  // The first training image is an ankle boot.
  EXPECT_EQ(train.classes.at(static_cast<std::size_t>(train.labels[0].item<std::int64_t>())),
            "Ankle boot");
  EXPECT_EQ(load("fashion-mnist", "test", kDebianFolder).size(), 10000);
}

TEST(Registry, LoadsFromRootPlainAndCompressed) {
  for (const bool gzip : {false, true}) {
    const TemporaryFolder folder;
    write_mnist(folder.str(), gzip);
    EXPECT_EQ(find("mnist", folder.str()), folder.str());
    const Dataset train = load("mnist", "train", folder.str());
    EXPECT_TRUE(at::equal(train.labels, at::tensor({0, 1, 2, 3}, at::kLong)));
    const Dataset test = load("mnist", "test", folder.str());
    EXPECT_TRUE(at::equal(test.labels, at::tensor({8, 9}, at::kLong)));
    EXPECT_EQ(test.images.sizes(), (at::IntArrayRef{2, 1, 28, 28}));
  }
}

TEST(Registry, RootIsTheOnlyPlace) {
  const TemporaryFolder folder;
  write_mnist(folder / "fashion-mnist", false);
  const ScopedVariable data("DECORR_DATA", folder.str());
  const std::string elsewhere = folder / "elsewhere";
  try {
    find("fashion-mnist", elsewhere);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(elsewhere + " (no such folder)"));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr(kDebianFolder)));
  }
}

TEST(Registry, DataVariableComesBeforeSystemFolder) {
  const TemporaryFolder folder;
  const ScopedVariable data("DECORR_DATA", folder.str());
  EXPECT_EQ(find("fashion-mnist"), kDebianFolder);
  write_mnist(folder.str(), true);
  EXPECT_EQ(find("fashion-mnist"), folder.str());
  write_mnist(folder / "fashion-mnist", true);
  EXPECT_EQ(find("fashion-mnist"), folder / "fashion-mnist");
}

TEST(Registry, CacheIsSearchedOnlyWithoutDataVariable) {
  const TemporaryFolder folder;
  const ScopedVariable home("HOME", folder / "home");
  const std::string cache = folder / "home/.cache/decorr/fashion-mnist";
  write_mnist(cache, false);
  {
    const ScopedVariable data("DECORR_DATA", std::nullopt);
    EXPECT_EQ(find("fashion-mnist"), cache);
    EXPECT_EQ(load("fashion-mnist", "train").size(), 4);
  }
  const ScopedVariable data("DECORR_DATA", folder / "data");
  EXPECT_EQ(find("fashion-mnist"), kDebianFolder);
}

TEST(Registry, NotFoundListsEveryPlaceAndHowToGetIt) {
  const TemporaryFolder folder;
  write_mnist(folder.str(), false);
  std::filesystem::remove(folder / "t10k-labels-idx1-ubyte");
  const ScopedVariable data("DECORR_DATA", folder.str());
  expect_error<std::runtime_error>(
      [] { load("mnist", "train"); },
      {"'mnist' was not found", folder / "mnist (no such folder)",
       folder.str() + " (lacks t10k-labels-idx1-ubyte[.gz])", "--root"});
  expect_error<std::runtime_error>([&] { find("fashion-mnist", folder / "absent"); },
                                   {"apt install dataset-fashion-mnist", "--root"});
}

TEST(Registry, NotFoundWithoutHomeSaysSo) {
  const ScopedVariable data("DECORR_DATA", std::nullopt);
  const ScopedVariable home("HOME", std::nullopt);
  expect_error<std::runtime_error>([] { find("mnist"); }, {"HOME is not set"});
}

TEST(Registry, RefusesUnknownNameAndSplit) {
  expect_error<std::invalid_argument>([] { find("minst"); }, {"mnist, fashion-mnist", "'minst'"});
  expect_error<std::invalid_argument>([] { load("", "train"); }, {"mnist, fashion-mnist"});
  expect_error<std::invalid_argument>([] { load("fashion-mnist", "validation"); },
                                      {"train or test", "'validation'"});
}

TEST(Registry, RefusesFilesThatDoNotFitTogether) {
  const TemporaryFolder folder;
  write_mnist(folder.str(), false);
  testing::write_file(folder / "train-labels-idx1-ubyte", testing::idx_labels("\1\2\3"));
  expect_error<std::runtime_error>([&] { load("mnist", "train", folder.str()); },
                                   {"4 images and 3 labels", folder.str(), "download"});
  testing::write_file(folder / "train-labels-idx1-ubyte", testing::idx_labels("\1\2\3\x0A"));
  expect_error<std::runtime_error>([&] { load("mnist", "train", folder.str()); },
                                   {"[0, 10)", "got 10", folder.str()});
}

TEST(Registry, ReportsDamagedFileByName) {
  const TemporaryFolder folder;
  write_mnist(folder.str(), false);
  testing::write_file(folder / "t10k-images-idx3-ubyte", "damaged");
  EXPECT_NO_THROW(load("mnist", "train", folder.str()));
  expect_error<std::runtime_error>([&] { load("mnist", "test", folder.str()); },
                                   {folder / "t10k-images-idx3-ubyte"});
}

}  // namespace
}  // namespace decorr::data
