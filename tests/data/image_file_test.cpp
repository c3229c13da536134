#include "decorr/data/image_file.h"

#include "decorr/data/image_size.h"

#include "tests/data/file_support.h"

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::jpeg;
using testing::png;

const std::string kRow{'\x00', '\x40', '\x80', '\xFF'};  // four grey pixels

at::Tensor bytes_of(const std::string& text) {
  at::Tensor result = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::memcpy(result.data_ptr(), text.data(), text.size());
  return result;
}

TEST(ImageFile, DecodesJpeg) {
  const at::Tensor image = testing::plain(200, 100, 30, 9, 7);
  const ImageHeader header = read_image_header(jpeg(image), "a.jpg");
  EXPECT_EQ(header.height, 9);
  EXPECT_EQ(header.width, 7);
  EXPECT_TRUE(header.colour);
  const at::Tensor decoded = decode_image(jpeg(image), "a.jpg", 3);
  ASSERT_EQ(decoded.sizes(), image.sizes());
  // The transform to luminance and colour differences rounds by a level or two.
  EXPECT_LE((decoded.to(at::kInt) - image.to(at::kInt)).abs().max().item<int>(), 2);
}

TEST(ImageFile, GreyJpegBecomesOneChannelOrThree) {
  const at::Tensor image = at::full({1, 8, 8}, 77, at::kByte);
  EXPECT_FALSE(read_image_header(jpeg(image), "a.jpg").colour);
  EXPECT_TRUE(at::equal(decode_image(jpeg(image), "a.jpg", 1), image));
  EXPECT_TRUE(at::equal(decode_image(jpeg(image), "a.jpg", 3), image.expand({3, 8, 8})));
}

TEST(ImageFile, DecodesPngExactly) {
  const at::Tensor image = testing::random_dataset(1, 3, 5, 7).images[0];
  EXPECT_TRUE(read_image_header(png(image), "a.png").colour);
  EXPECT_TRUE(at::equal(decode_image(png(image), "a.png", 3), image));
  const at::Tensor grey = image.narrow(0, 1, 1).contiguous();
  EXPECT_FALSE(read_image_header(png(grey), "a.png").colour);
  EXPECT_TRUE(at::equal(decode_image(png(grey), "a.png", 1), grey));
  EXPECT_TRUE(at::equal(decode_image(png(grey), "a.png", 3), grey.expand({3, 5, 7})));
}

TEST(ImageFile, DropsAlphaWithoutBlending) {
  const std::string rgba{'\x0A', '\x14', '\x1E', '\x00', '\xC8', '\x96', '\x64', '\x80'};
  const at::Tensor decoded = decode_image(png(2, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, rgba), "a.png", 3);
  EXPECT_TRUE(at::equal(decoded, bytes_of("\x0A\xC8\x14\x96\x1E\x64").view({3, 1, 2})));
  const std::string grey{'\x0A', '\x00', '\x14', '\xFF'};
  const std::string file = png(2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, grey);
  EXPECT_FALSE(read_image_header(file, "a.png").colour);
  EXPECT_TRUE(at::equal(decode_image(file, "a.png", 1), bytes_of("\x0A\x14").view({1, 1, 2})));
}

TEST(ImageFile, KeepsTheHigherByteOfSixteenBits) {
  const std::string grey{'\x12', '\xFF', '\xAB', '\x00'};
  EXPECT_TRUE(at::equal(decode_image(png(2, 1, 16, PNG_COLOR_TYPE_GRAY, grey), "a.png", 1),
                        bytes_of("\x12\xAB").view({1, 1, 2})));
}

TEST(ImageFile, LooksUpPalettesAndSpreadsFewBits) {
  const std::vector<png_color> palette{{1, 2, 3}, {40, 50, 60}};
  const std::string file = png(2, 1, 8, PNG_COLOR_TYPE_PALETTE, std::string{'\1', '\0'}, palette);
  EXPECT_TRUE(read_image_header(file, "a.png").colour);
  EXPECT_TRUE(at::equal(decode_image(file, "a.png", 3),
                        at::tensor({40, 1, 50, 2, 60, 3}, at::kInt).to(at::kByte).view({3, 1, 2})));
  // Four pixels of two bits: 0, 1, 2, 3.
  EXPECT_TRUE(
      at::equal(decode_image(png(4, 1, 2, PNG_COLOR_TYPE_GRAY, std::string{'\x1B'}), "a.png", 1),
                at::tensor({0, 85, 170, 255}, at::kInt).to(at::kByte).view({1, 1, 4})));
}

TEST(ImageFile, RefusesWhatIsCutOffOrDamaged) {
  const at::Tensor image = testing::random_dataset(1, 3, 40, 40).images[0];
  for (const std::string& good : {jpeg(image), png(image)}) {
    for (const std::size_t size : {good.size() - 200, good.size() / 2, std::size_t{20}})
      expect_error<std::runtime_error>(
          [&] { decode_image(std::string_view(good).substr(0, size), "some.file", 3); },
          {"some.file is cut off or damaged", "get it anew"});
  }
  std::string corrupt = png(image);
  corrupt[corrupt.size() / 2] = static_cast<char>(corrupt[corrupt.size() / 2] ^ 0x55);
  expect_error<std::runtime_error>([&] { decode_image(corrupt, "b.png", 3); },
                                   {"b.png is cut off or damaged"});
  expect_error<std::runtime_error>([] { read_image_header("GIF89a", "c.png"); },
                                   {"c.png is neither a JPEG nor a PNG file"});
  expect_error<std::runtime_error>([] { read_image_header("", "d.png"); }, {"d.png is neither"});
  expect_error<std::invalid_argument>([&] { decode_image(jpeg(image), "a.jpg", 1); },
                                      {"in colour", "got 1"});
}

// libjpeg tells the first warning of a file alone: a harmless one must not hide the others.
TEST(ImageFile, RefusesJpegWithGarbage) {
  const std::string good = jpeg(testing::random_dataset(1, 3, 40, 40).images[0]);
  const std::string garbage(100, 'x');
  const auto with_garbage = [&](const char* marker) {
    return std::string(good).insert(good.rfind(marker), garbage);
  };
  const auto refuse = [](const std::string& bytes) {
    expect_error<std::runtime_error>([&] { decode_image(bytes, "a.jpg", 3); },
                                     {"a.jpg is cut off or damaged", "get it anew"});
  };
  refuse(with_garbage("\xFF\xD9"));  // as after a flipped bit that ends the pixels early
  const std::string header = with_garbage("\xFF\xDA");
  refuse(header);
  refuse(header.substr(0, header.size() - 200));
}

TEST(ImageFile, WritesPng) {
  const testing::TemporaryFolder folder;
  for (const std::int64_t channels : {1, 3}) {
    const at::Tensor image = testing::random_dataset(1, channels, 5, 7).images[0];
    write_png(folder / "a.png", image);
    const std::string bytes = testing::read_file(folder / "a.png");
    EXPECT_TRUE(at::equal(decode_image(bytes, "a.png", channels), image));
  }
  expect_error<std::invalid_argument>(
      [&] {
        write_png(folder / "a.png", at::zeros({2, 3, 3}, at::kByte));
      },
      {"[2, 3, 3]"});
  expect_error<std::runtime_error>(
      [&] {
        write_png(folder / "absent/a.png", at::zeros({1, 3, 3}, at::kByte));
      },
      {folder / "absent/a.png"});
}

TEST(ImageSize, CropsTheMiddle) {
  const at::Tensor image = testing::random_dataset(1, 3, 9, 6).images[0];
  EXPECT_TRUE(at::equal(resize_and_crop(image, 6), image.narrow(1, 1, 6)));
}

TEST(ImageSize, ShrinksByMeansAndKeepsConstants) {
  EXPECT_TRUE(at::equal(resize_and_crop(testing::plain(1, 128, 255, 50, 31), 16),
                        testing::plain(1, 128, 255, 16, 16)));
  // Stripes narrower than a pixel become their mean, away from the borders.
  const at::Tensor stripes = at::arange(64).remainder(2).mul(200).to(at::kByte);
  const at::Tensor small = resize_and_crop(stripes.expand({1, 64, 64}).contiguous(), 8);
  EXPECT_LE((small.to(at::kInt) - 100).abs().max().item<int>(), 8);
  EXPECT_EQ(resize_and_crop(testing::plain(1, 2, 3, 4, 5), 9).sizes(), (at::IntArrayRef{3, 9, 9}));
  expect_error<std::invalid_argument>([] { resize_and_crop(testing::plain(1, 2, 3, 4, 5), 0); },
                                      {"at least 1, got 0"});
}

}  // namespace
}  // namespace decorr::data
