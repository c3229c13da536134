#pragma once

#include <ATen/ATen.h>

#include "tests/data/support.h"
#include <archive.h>
#include <archive_entry.h>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <png.h>
#include <string>
#include <turbojpeg.h>
#include <vector>

// Files of other formats for the tests, written by the formats' own libraries.
namespace decorr::data::testing {

/// Sets an environment variable (or removes it) until the end of the scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~ScopedVariable() { set(old_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  void set(const std::optional<std::string>& value) {
    if (value) {
      setenv(name_, value->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  const char* name_;
  std::optional<std::string> old_;
};

/// Writes an archive with these files: a tar archive compressed by gzip, or a zip archive.
inline void write_archive(const std::string& path, const std::map<std::string, std::string>& files,
                          bool zip) {
  archive* writer = archive_write_new();
  if (zip) {
    archive_write_set_format_zip(writer);
  } else {
    archive_write_set_format_pax_restricted(writer);
    archive_write_add_filter_gzip(writer);
  }
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
    EXPECT_EQ(archive_write_data(writer, bytes.data(), bytes.size()),
              static_cast<la_ssize_t>(bytes.size()));
    archive_entry_free(entry);
  }
  EXPECT_EQ(archive_write_close(writer), ARCHIVE_OK);
  archive_write_free(writer);
}

/// A JPEG file of `image`, uint8 [1 or 3, H, W], hardly compressed.
inline std::string jpeg(const at::Tensor& image) {
  const at::Tensor pixels = image.permute({1, 2, 0}).contiguous();
  const bool grey = image.size(0) == 1;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT: the type is libturbojpeg's
  const tjhandle encoder = tjInitCompress();
  EXPECT_EQ(tjCompress2(encoder, pixels.data_ptr<std::uint8_t>(), static_cast<int>(image.size(2)),
                        0, static_cast<int>(image.size(1)), grey ? TJPF_GRAY : TJPF_RGB, &bytes,
                        &size, grey ? TJSAMP_GRAY : TJSAMP_444, 100, TJFLAG_ACCURATEDCT),
            0);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(encoder);
  return result;
}

/// A PNG file of `width` x `height` pixels of the given kind; `rows` has their bytes, row by row,
/// and `palette` the colours if the kind is PNG_COLOR_TYPE_PALETTE.
inline std::string png(int width, int height, int depth, int kind, const std::string& rows,
                       std::vector<png_color> palette = {}) {
  std::string result;
  png_structp writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(writer);
  png_set_write_fn(
      writer, &result,
      [](png_structp target, png_bytep bytes, std::size_t count) {
        static_cast<std::string*>(png_get_io_ptr(target))
            ->append(reinterpret_cast<const char*>(bytes), count);
      },
      nullptr);
  png_set_IHDR(writer, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               depth, kind, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty())
    png_set_PLTE(writer, info, palette.data(), static_cast<int>(palette.size()));
  png_write_info(writer, info);
  const std::size_t length = rows.size() / static_cast<std::size_t>(height);
  for (int y = 0; y < height; ++y)
    png_write_row(writer, reinterpret_cast<png_const_bytep>(rows.data()) +
                              static_cast<std::size_t>(y) * length);
  png_write_end(writer, info);
  png_destroy_write_struct(&writer, &info);
  return result;
}

/// A PNG file of `image`, uint8 [1 or 3, H, W].
inline std::string png(const at::Tensor& image) {
  const at::Tensor pixels = image.permute({1, 2, 0}).contiguous();
  return png(static_cast<int>(image.size(2)), static_cast<int>(image.size(1)), 8,
             image.size(0) == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
             {static_cast<const char*>(pixels.data_ptr()), pixels.nbytes()});
}

/// Writes a file and the folders it is in.
inline void write_deep(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_file(path, bytes);
}

/// An image of one colour.
inline at::Tensor plain(int red, int green, int blue, std::int64_t height, std::int64_t width) {
  const at::Tensor colour = at::tensor({red, green, blue}, at::kInt).to(at::kByte);
  return colour.view({3, 1, 1}).expand({3, height, width}).contiguous();
}

/// What `call` writes to stderr.
template <typename Call>
std::string stderr_of(Call call) {
  ::testing::internal::CaptureStderr();
  call();
  return ::testing::internal::GetCapturedStderr();
}

}  // namespace decorr::data::testing
