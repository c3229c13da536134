#include "decorr/data/decode_images.h"

#include "decorr/core/check.h"
#include "decorr/data/file_workers.h"
#include "decorr/data/image_file.h"
#include "decorr/data/image_size.h"
#include "decorr/io/atomic_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace decorr::data {
namespace {

std::string full_path(const ImageTree& tree, const LabelledFile& file) {
  return (tree.root / file.path).string();
}

// The headers of `files`; a height of 0 stands for a file that is to be skipped.
std::vector<ImageHeader> read_headers(const ImageTree& tree, const std::vector<LabelledFile>& files,
                                      const ImageOptions& options) {
  std::vector<ImageHeader> headers(files.size());
  const auto read = [&](std::size_t i) {
    const std::string path = full_path(tree, files[i]);
    const std::string bytes = io::read_file(path);
    try {
      headers[i] = read_image_header(bytes, path);
    } catch (const std::runtime_error&) {
      if (!options.skip_corrupt) throw;
    }
  };
  for_each_file("reading headers", files.size(), read, options.should_stop);
  return headers;
}

// Throws unless all headers have the size of the first one.
void check_sizes(const ImageTree& tree, const std::vector<LabelledFile>& files,
                 const std::vector<ImageHeader>& headers) {
  std::size_t first = headers.size();
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (headers[i].height == 0) continue;
    if (first == headers.size()) first = i;
    check_runtime(
        headers[i].height == headers[first].height && headers[i].width == headers[first].width,
        "[data] images must have one size, {} is {} x {} and {} is {} x {}; set "
        "data.image_size to scale and crop them",
        full_path(tree, files[first]), headers[first].height, headers[first].width,
        full_path(tree, files[i]), headers[i].height, headers[i].width);
  }
}

// Moves the rows that are kept to the front and cuts off the others.
void drop_rows(DecodedImages& part, const std::vector<char>& kept) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0) continue;
    const auto row = static_cast<std::int64_t>(i);
    if (row != count) {
      part.images[count].copy_(part.images[row]);
      part.labels[count].copy_(part.labels[row]);
    }
    ++count;
  }
  part.images = part.images.narrow(0, 0, count);
  part.labels = part.labels.narrow(0, 0, count);
}

}  // namespace

DecodedImages decode_images(const ImageTree& tree, const std::string& split,
                            const ImageOptions& options) {
  // The two parts must agree in size and colour, so the headers of both decide.
  std::vector<LabelledFile> all = tree.train;
  all.insert(all.end(), tree.test.begin(), tree.test.end());
  const std::vector<ImageHeader> headers = read_headers(tree, all, options);
  if (options.image_size == 0) check_sizes(tree, all, headers);
  const bool colour =
      std::any_of(headers.begin(), headers.end(), [](const auto& header) { return header.colour; });
  const auto good = std::find_if(headers.begin(), headers.end(),
                                 [](const auto& header) { return header.height > 0; });
  const std::vector<LabelledFile>& files = split == "train" ? tree.train : tree.test;
  const std::size_t offset = split == "train" ? 0 : tree.train.size();

  const std::int64_t channels = colour ? 3 : 1;
  const auto count = static_cast<std::int64_t>(files.size());
  const bool scaled = options.image_size > 0;
  const bool any = good != headers.end();
  const std::int64_t height = scaled ? options.image_size : any ? good->height : 1;
  const std::int64_t width = scaled ? options.image_size : any ? good->width : 1;
  DecodedImages part{
      at::empty({count, channels, height, width}, at::kByte), at::empty({count}, at::kLong), {}};
  std::uint8_t* pixels = part.images.data_ptr<std::uint8_t>();
  std::int64_t* labels = part.labels.data_ptr<std::int64_t>();
  const auto size = static_cast<std::size_t>(channels * height * width);
  std::vector<char> kept(files.size(), 0);  // not bool: the threads write to their own elements
  const auto decode = [&](std::size_t i) {
    if (headers[offset + i].height == 0) return;
    const std::string path = full_path(tree, files[i]);
    const std::string bytes = io::read_file(path);
    try {
      at::Tensor image = decode_image(bytes, path, channels);
      if (scaled) image = resize_and_crop(image, options.image_size);
      check_runtime(image.size(1) == height && image.size(2) == width,
                    "[data] {} has changed while it was read; start again", path);
      std::memcpy(pixels + i * size, image.data_ptr<std::uint8_t>(), size);
      labels[i] = files[i].label;
      kept[i] = 1;
    } catch (const std::runtime_error&) {
      if (!options.skip_corrupt) throw;
    }
  };
  for_each_file("decoding images", files.size(), decode, options.should_stop);
  for (std::size_t i = 0; i < files.size(); ++i)
    if (kept[i] == 0) part.skipped.push_back(files[i].path);
  check_runtime(part.skipped.size() < files.size(),
                "[data] none of the {} images of {} ({}) in {} can be decoded; get them anew",
                files.size(), tree.name, split, tree.root.string());
  if (!part.skipped.empty()) drop_rows(part, kept);
  return part;
}

}  // namespace decorr::data
