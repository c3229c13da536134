#include "decorr/data/npy.h"
#include "decorr/data/registry.h"

#include "tests/data/file_support.h"

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_archive;
using testing::write_file;

// A file as numpy.save() writes it, with the header given.
std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                int version = 1, bool fortran = false) {
  std::string header = "{'descr': '" + type +
                       "', 'fortran_order': " + (fortran ? "True" : "False") +
                       ", 'shape': " + shape + ", }\n";
  std::string length{static_cast<char>(header.size()), '\0'};
  if (version > 1) length += std::string(2, '\0');
  return "\x93NUMPY" + std::string{static_cast<char>(version), '\0'} + length + header + data;
}

std::string labels(const std::string& values) {
  return npy("|u1", "(" + std::to_string(values.size()) + ",)", values);
}

at::Tensor longs(std::initializer_list<std::int64_t> numbers) {
  return at::tensor(std::vector<std::int64_t>(numbers), at::kLong);
}

TEST(Npy, ReadsEveryIntegerTypeAndByteOrder) {
  EXPECT_TRUE(at::equal(parse_npy(npy("|u1", "(2,)", "\x01\xFF"), "a"),
                        at::tensor({1, 255}, at::kInt).to(at::kByte)));
  EXPECT_TRUE(at::equal(parse_npy(npy("|i1", "(2,)", "\x01\xFF"), "a"), longs({1, -1})));
  const std::string two{'\x01', '\x02', '\xFF', '\xFE'};
  EXPECT_TRUE(at::equal(parse_npy(npy("<u2", "(2,)", two), "a"), longs({0x0201, 0xFEFF})));
  EXPECT_TRUE(at::equal(parse_npy(npy(">u2", "(2,)", two), "a"), longs({0x0102, 0xFFFE})));
  EXPECT_TRUE(at::equal(parse_npy(npy("<i2", "(2,)", two), "a"), longs({0x0201, -257})));
  EXPECT_TRUE(at::equal(parse_npy(npy(">i4", "(1,)", two), "a"), longs({0x0102FFFE})));
  EXPECT_TRUE(at::equal(parse_npy(npy("<i8", "(1,)", two + two), "a"),
                        longs({static_cast<std::int64_t>(0xFEFF0201FEFF0201ULL)})));
  EXPECT_TRUE(at::equal(parse_npy(npy("|b1", "(2,)", std::string("\0\1", 2)), "a"),
                        longs({0, 1}).to(at::kBool)));
}

TEST(Npy, ReadsEveryVersionShapeAndOrder) {
  for (const int version : {1, 2, 3})
    EXPECT_TRUE(at::equal(parse_npy(npy("|u1", "(1,)", "\x05", version), "a"),
                          at::tensor({5}, at::kInt).to(at::kByte)));
  const at::Tensor rows = parse_npy(npy("|u1", "(2, 3)", "abcdef"), "a");
  EXPECT_EQ(rows.sizes(), (at::IntArrayRef{2, 3}));
  const at::Tensor columns = parse_npy(npy("|u1", "(2, 3)", "adbecf", 1, true), "a");
  EXPECT_TRUE(at::equal(rows, columns));
  EXPECT_TRUE(columns.is_contiguous());
  EXPECT_EQ(parse_npy(npy("|u1", "()", "x"), "a").dim(), 0);
  EXPECT_EQ(parse_npy(npy("<i4", "(0, 3)", ""), "a").sizes(), (at::IntArrayRef{0, 3}));
}

TEST(Npy, RefusesOtherTypes) {
  const auto refuse = [](const std::string& bytes, const std::vector<std::string>& parts) {
    expect_error<std::runtime_error>([&] { parse_npy(bytes, "some.npy"); }, parts);
  };
  refuse(npy("<f4", "(1,)", "abcd"), {"some.npy holds floats (<f4)", "uint8, 0 to 255"});
  refuse(npy("|O", "(1,)", "abcd"), {"some.npy holds Python objects"});
  refuse(npy("<U3", "(1,)", "abcd"), {"some.npy holds '<U3'"});
  refuse(npy("<c8", "(1,)", "abcdefgh"), {"some.npy holds '<c8'"});
  refuse(npy("<M8[ns]", "(1,)", "abcdefgh"), {"some.npy holds '<M8[ns]'"});
  refuse("\x93NUMPY" + std::string("\x01\x00\x2A\x00", 4) +
             "{'descr': [('a', '<i4')], 'shape': (1,), }",
         {"some.npy holds records"});
  refuse(npy("<u8", "(1,)", std::string(8, '\xFF')), {"holds 18446744073709551615"});
}

TEST(Npy, RefusesWhatIsCutOffOrDamaged) {
  const auto refuse = [](const std::string& bytes, const std::vector<std::string>& parts) {
    expect_error<std::runtime_error>([&] { parse_npy(bytes, "some.npy"); }, parts);
  };
  const std::string good = npy("<i4", "(2,)", "abcdefgh");
  for (std::size_t size = 0; size < good.size(); ++size) refuse(good.substr(0, size), {"some.npy"});
  refuse(good.substr(0, good.size() - 1), {"cut off", "[2] of 4 bytes each", "7 bytes"});
  refuse(good + "x", {"1 bytes behind its 8 bytes"});
  refuse(npy("<i4", "(4000000000, 4000000000, 4000000000)", "abcd"), {"cut off"});
  refuse(npy("<i4", "(99999999999999999999,)", "abcd"), {"implausible"});
  refuse(npy("<i4", "(-1,)", "abcd"), {"shape (-1,)"});
  refuse(npy("<i4", "(1,)", "abcd", 4), {"version 4"});
  refuse("PK\x03\x04", {"not in NumPy's format"});
  for (const std::string type : {"", "'", "'<", "'<i", "'<i4"}) {
    const std::string header = "{'descr': " + type;
    refuse("\x93NUMPY" + std::string("\x01\0", 2) +
               std::string{static_cast<char>(header.size()), '\0'} + header,
           {"some.npy holds " + type, "save it with an integer type"});
  }
}

class NumpyArrays : public ::testing::Test {
 protected:
  NumpyArrays() {
    arrays_ = {{"train_images.npy", npy("|u1", "(3, 2, 2)", testing::ramp(12))},
               {"train_labels.npy", labels(std::string("\0\2\1", 3))},
               {"test_images.npy", npy("|u1", "(1, 2, 2)", testing::ramp(4))},
               {"test_labels.npy", npy(">i4", "(1, 1)", std::string("\0\0\0\4", 4))}};
  }

  std::string npz() {
    write_archive(folder_ / "a.npz", arrays_, true);
    return folder_ / "a.npz";
  }

  void refuse(const std::string& split, const std::vector<std::string>& parts) {
    const std::string path = npz();
    expect_error<std::runtime_error>([&] { load("numpy", split, path); }, parts);
  }

  TemporaryFolder folder_;
  std::map<std::string, std::string> arrays_;
};

TEST_F(NumpyArrays, AreReadFromAnArchiveOrAFolder) {
  std::filesystem::create_directory(folder_ / "arrays");
  for (const auto& [name, bytes] : arrays_) write_file(folder_ / ("arrays/" + name), bytes);
  for (const std::string& place : {npz(), folder_ / "arrays"}) {
    const Dataset train = load("numpy", "train", place);
    EXPECT_TRUE(at::equal(train.images, at::arange(12).to(at::kByte).view({3, 1, 2, 2})));
    EXPECT_TRUE(at::equal(train.labels, longs({0, 2, 1})));
    EXPECT_THAT(train.classes, ::testing::ElementsAre("0", "1", "2", "3", "4"));  // from test
    EXPECT_TRUE(at::equal(load("numpy", "test", place).labels, longs({4})));
  }
}

TEST_F(NumpyArrays, MayHaveTheirShortNames) {
  const std::vector<std::pair<std::string, std::string>> names{{"train_images", "x_train"},
                                                               {"train_labels", "y_train"},
                                                               {"test_images", "x_test"},
                                                               {"test_labels", "y_test"}};
  for (const auto& [from, to] : names) {
    arrays_[to + ".npy"] = arrays_[from + ".npy"];
    arrays_.erase(from + ".npy");
  }
  EXPECT_EQ(load("numpy", "train", npz()).size(), 3);
  EXPECT_EQ(load("numpy", "test", npz()).size(), 1);
}

TEST_F(NumpyArrays, AStrayShortNameHidesNothing) {
  arrays_["y_train.npy"] = labels("x");
  EXPECT_EQ(load("numpy", "train", npz()).size(), 3);
}

TEST_F(NumpyArrays, BoolIsForLabelsAlone) {
  arrays_["train_labels.npy"] = npy("|b1", "(3,)", std::string("\0\1\1", 3));
  EXPECT_TRUE(at::equal(load("numpy", "train", npz()).labels, longs({0, 1, 1})));
  arrays_["train_images.npy"] = npy("|b1", "(3, 2, 2)", std::string(12, '\1'));
  refuse("train", {"train_images in ", "got bool", "* 255"});
}

TEST_F(NumpyArrays, ChannelsAreLastOrFirst) {
  arrays_["train_images.npy"] = npy("|u1", "(3, 1, 2, 3)", testing::ramp(18));
  const at::Tensor last = load("numpy", "train", npz()).images;
  EXPECT_TRUE(
      at::equal(last, at::arange(18).to(at::kByte).view({3, 1, 2, 3}).permute({0, 3, 1, 2})));
  arrays_["train_images.npy"] = npy("|u1", "(3, 3, 2, 2)", testing::ramp(36));
  EXPECT_TRUE(at::equal(load("numpy", "train", npz()).images,
                        at::arange(36).to(at::kByte).view({3, 3, 2, 2})));
  arrays_["train_images.npy"] = npy("|u1", "(3, 2, 2, 2)", testing::ramp(24));
  refuse("train", {"train_images in ", "[N, H, W, C]", "got [3, 2, 2, 2]"});
  arrays_["train_images.npy"] = npy("|u1", "(3, 4)", testing::ramp(12));
  refuse("train", {"got [3, 4]"});
}

TEST_F(NumpyArrays, RefusesWhatDoesNotFitTogether) {
  const auto good = arrays_;
  arrays_["train_labels.npy"] = labels(std::string("\0\2", 2));
  refuse("train", {"train_images in ", "has 3 images", "train_labels in ", "has 2 labels"});
  arrays_["train_labels.npy"] = npy("|i1", "(3,)", std::string("\0\xFF\0", 3));
  refuse("train", {"labels in train_labels in ", "must be 0 to 65535, got -1"});
  arrays_["train_labels.npy"] = npy("<i4", "(3,)", std::string("\0\0\1\0\0\0\0\0\0\0\0\0", 12));
  refuse("test", {"got 65536"});  // the classes are those of both parts
  arrays_ = good;
  arrays_["train_labels.npy"] = npy("|u1", "(3, 2)", "abcdef");
  refuse("train", {"[N] or [N, 1]", "got [3, 2]"});
  arrays_ = good;
  arrays_["train_images.npy"] = npy("<i2", "(3, 2, 1)", testing::ramp(12));
  refuse("train", {"train_images in ", "must be uint8"});
  arrays_["train_images.npy"] = npy("<f8", "(3, 1, 1)", testing::ramp(24));
  refuse("train", {"train_images in ", "holds floats", "uint8"});
  arrays_["train_images.npy"] = npy("|u1", "(3, 2, 2)", testing::ramp(11));
  refuse("train", {"train_images in ", "cut off"});
  arrays_["train_images.npy"] = npy("|u1", "(0, 2, 2)", "");
  refuse("train", {"train_images in ", "has no images", "[0, 2, 2]"});
  arrays_.erase("train_images.npy");
  refuse("train", {folder_ / "a.npz", "has no array train_images", "numpy.savez"});
}

TEST_F(NumpyArrays, RefusesWhatIsNotThere) {
  const std::string path = npz();
  const std::string bytes = testing::read_file(path);
  write_file(path, bytes.substr(0, bytes.size() / 3));
  expect_error<std::runtime_error>([&] { load("numpy", "train", path); }, {path});
  expect_error<std::runtime_error>([&] { load("numpy", "train", folder_ / "none"); },
                                   {folder_ / "none", "no such file or folder"});
  expect_error<std::runtime_error>([&] { load("numpy", "train", folder_.str()); },
                                   {folder_.str(), "lacks some of train_images.npy"});
  expect_error<std::runtime_error>([] { load("numpy", "train"); }, {"no root is given", ".npz"});
}

}  // namespace
}  // namespace decorr::data
