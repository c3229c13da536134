#include "decorr/data/npy.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace decorr::data {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are copied as they are");

constexpr std::string_view kMagic = "\x93NUMPY";

template <typename... Args>
[[noreturn]] void refuse_npy(const std::string& name, fmt::format_string<Args...> what,
                             Args&&... args) {
  throw std::runtime_error(
      fmt::format("[numpy] {} {}", name, fmt::format(what, std::forward<Args>(args)...)));
}

// The literal behind `'key':` in the header, a Python dictionary that numpy.save() wrote.
std::string_view entry(std::string_view header, const std::string& key, const std::string& name) {
  const auto found = header.find("'" + key + "':");
  if (found == std::string_view::npos)
    refuse_npy(name, "has no {} in its header; save it again with numpy.save", key);
  header.remove_prefix(found + key.size() + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

// `(3, 4)`, `(3,)` or `()`.
std::vector<std::int64_t> parse_shape(std::string_view text, const std::string& name) {
  const auto end = text.find(')');
  if (text.empty() || text.front() != '(' || end == std::string_view::npos)
    refuse_npy(name, "has no shape in its header; save it again with numpy.save");
  std::vector<std::int64_t> shape;
  std::int64_t number = -1;
  for (const char c : text.substr(1, end - 1)) {
    if (c >= '0' && c <= '9') {
      number = std::max<std::int64_t>(number, 0) * 10 + (c - '0');
      if (number > std::numeric_limits<std::int32_t>::max() * std::int64_t{1024})
        refuse_npy(name, "claims an implausible shape {}", text.substr(0, end + 1));
    } else if (c == ',') {
      if (number >= 0) shape.push_back(number);
      number = -1;
    } else if (c != ' ') {
      refuse_npy(name, "has the shape {}, which is none; save it again with numpy.save",
                 text.substr(0, end + 1));
    }
  }
  if (number >= 0) shape.push_back(number);
  return shape;
}

struct Header {
  bool is_signed = false;
  bool is_bool = false;
  bool swapped = false;  // big endian
  std::size_t item = 1;  // bytes of an element
  bool fortran = false;  // first index fastest
  std::vector<std::int64_t> shape;
};

Header parse_header(std::string_view text, const std::string& name) {
  Header header;
  const std::string_view type = entry(text, "descr", name);
  if (!type.empty() && type.front() == '[')
    refuse_npy(name, "holds records; save plain arrays of integers");
  const std::string_view code = type.substr(0, 1) == "'" ? type.substr(1, 3) : "";
  const auto refuse_type = [&] {
    refuse_npy(name, "holds {}; save it with an integer type", type.substr(0, type.find(',')));
  };
  if (code.size() < 3) refuse_type();
  if (code[1] == 'O') refuse_npy(name, "holds Python objects; save it with an integer type");
  if (code[1] == 'f')
    refuse_npy(name, "holds floats ({}); give integers: images as uint8, 0 to 255", code);
  const std::string_view sizes = code[1] == 'b' ? "1" : "1248";
  if (std::string_view("iub").find(code[1]) == std::string_view::npos ||
      sizes.find(code[2]) == std::string_view::npos || type.substr(4, 1) != "'")
    refuse_type();
  header.is_signed = code[1] == 'i';
  header.is_bool = code[1] == 'b';
  header.swapped = code[0] == '>';
  header.item = static_cast<std::size_t>(code[2] - '0');
  header.fortran = entry(text, "fortran_order", name).substr(0, 4) == "True";
  header.shape = parse_shape(entry(text, "shape", name), name);
  return header;
}

// Element `index` of `data`, which is not aligned.
std::int64_t element(const char* data, std::int64_t index, const Header& header,
                     const std::string& name) {
  std::uint64_t value = 0;
  unsigned char bytes[8];
  std::memcpy(bytes, data + static_cast<std::size_t>(index) * header.item, header.item);
  if (header.swapped) std::reverse(bytes, bytes + header.item);
  for (std::size_t i = header.item; i-- > 0;) value = value << 8 | bytes[i];
  if (!header.is_signed) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      refuse_npy(name, "holds {}, which is out of range", value);
    return static_cast<std::int64_t>(value);
  }
  const auto unused = static_cast<unsigned>(64 - 8 * header.item);
  return static_cast<std::int64_t>(value << unused) >> unused;
}

// The number of bytes that the shape asks for, or one more than there are if that is more.
std::uint64_t wanted_bytes(const Header& header, std::uint64_t there) {
  std::uint64_t count = header.item;
  if (std::count(header.shape.begin(), header.shape.end(), 0) > 0) return 0;
  for (const std::int64_t size : header.shape) {
    if (static_cast<std::uint64_t>(size) > there / count) return there + 1;
    count *= static_cast<std::uint64_t>(size);
  }
  return count;
}

}  // namespace

at::Tensor parse_npy(std::string_view bytes, const std::string& name) {
  if (bytes.substr(0, kMagic.size()) != kMagic)
    refuse_npy(name, "is not in NumPy's format; save it with numpy.save or numpy.savez");
  const std::size_t version = bytes.size() > 6 ? static_cast<unsigned char>(bytes[6]) : 0;
  if (bytes.size() > 6 && (version < 1 || version > 3))
    refuse_npy(name, "has version {} of NumPy's format, 1 to 3 are known; save it again", version);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t begin = 8 + length_bytes;
  std::size_t length = 0;
  for (std::size_t i = begin; i-- > 8 && bytes.size() >= begin;)
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  if (bytes.size() < begin || bytes.size() - begin < length)
    refuse_npy(name, "is cut off within its header; save it again");

  const Header header = parse_header(bytes.substr(begin, length), name);
  const std::string_view data = bytes.substr(begin + length);
  const std::uint64_t wanted = wanted_bytes(header, data.size());
  if (wanted > data.size())
    refuse_npy(name, "is cut off: [{}] of {} byte{} each do not fit into {} bytes; save it again",
               fmt::join(header.shape, ", "), header.item, header.item == 1 ? "" : "s",
               data.size());
  if (wanted < data.size())
    refuse_npy(name, "has {} bytes behind its {} bytes of data; save it again",
               data.size() - wanted, wanted);

  std::vector<std::int64_t> stored = header.shape;
  if (header.fortran) std::reverse(stored.begin(), stored.end());
  const bool plain = header.item == 1 && !header.is_signed;
  at::Tensor result = at::empty(stored, plain ? at::kByte : at::kLong);
  if (plain) {
    if (wanted > 0) std::memcpy(result.data_ptr(), data.data(), data.size());
  } else {
    std::int64_t* target = result.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < result.numel(); ++i)
      target[i] = element(data.data(), i, header, name);
  }
  if (header.is_bool) result = result.ne(0);
  if (!header.fortran) return result;
  std::vector<std::int64_t> axes;
  for (std::int64_t i = result.dim(); i-- > 0;) axes.push_back(i);
  return result.permute(axes).contiguous();
}

}  // namespace decorr::data
