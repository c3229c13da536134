#include "decorr/io/safetensors.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace decorr::io {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are copied as they are");

constexpr const char* kMetadataKey = "__metadata__";
constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct ElementType {
  const char* name;
  at::ScalarType type;
};

constexpr ElementType kElementTypes[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},    {"BOOL", at::kBool}};

template <typename Predicate>
const ElementType* find_type(Predicate predicate) {
  const auto* found = std::find_if(std::begin(kElementTypes), std::end(kElementTypes), predicate);
  return found == std::end(kElementTypes) ? nullptr : found;
}

const char* type_name(const std::string& name, const at::Tensor& tensor) {
  check_argument(name != kMetadataKey, "[safetensors] a tensor cannot be named {}", kMetadataKey);
  check_argument(tensor.defined(), "[safetensors] tensor \"{}\" is undefined", name);
  check_argument(tensor.layout() == at::kStrided,
                 "[safetensors] tensor \"{}\" must be dense, got layout {}", name,
                 c10::str(tensor.layout()));
  const auto* type =
      find_type([&](const ElementType& entry) { return entry.type == tensor.scalar_type(); });
  check_argument(type != nullptr,
                 "[safetensors] tensor \"{}\" must be float64, float32, float16, bfloat16, int64, "
                 "int32, int16, int8, uint8 or bool, got {}",
                 name, c10::toString(tensor.scalar_type()));
  return type->name;
}

std::string make_header(const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                        const Metadata& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t end = offset + tensor.nbytes();
    auto& entry = header[name];
    entry["dtype"] = type_name(name, tensor);
    entry["shape"] = tensor.sizes().vec();
    entry["data_offsets"] = {offset, end};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::type_error&) {
    throw std::invalid_argument("[safetensors] names and metadata must be UTF-8");
  }
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  check_argument(text.size() <= kMaxHeaderBytes,
                 "[safetensors] names, shapes and metadata must fit into {} bytes, got {}",
                 kMaxHeaderBytes, text.size());
  return text;
}

// Where a tensor's elements are, counted from the end of the header.
struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
  std::string name;
  at::ScalarType type;
  std::vector<std::int64_t> shape;
};

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  NamedTensors parse(Metadata* metadata) {
    const auto header = parse_header();
    Metadata found;
    std::vector<Extent> extents;
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadataKey) {
        found = parse_metadata(entry);
      } else {
        extents.push_back(parse_extent(name, entry));
      }
    }
    check_cover(extents);
    NamedTensors tensors;
    for (const auto& extent : extents) tensors.emplace(extent.name, copy(extent));
    if (metadata != nullptr) *metadata = std::move(found);
    return tensors;
  }

 private:
  template <typename... Args>
  void check(bool condition, fmt::format_string<Args...> message, Args&&... args) const {
    if (condition) return;
    throw std::runtime_error(fmt::format("{} is not a valid safetensors file: {}; get it anew",
                                         file_, fmt::format(message, std::forward<Args>(args)...)));
  }

  // Splits header from data.
  nlohmann::json parse_header() {
    check(bytes_.size() >= kLengthBytes, "it has {} bytes, the header's length alone takes {}",
          bytes_.size(), kLengthBytes);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kLengthBytes);
    check(length <= kMaxHeaderBytes, "the header claims {} bytes, the limit is {}", length,
          kMaxHeaderBytes);
    check(length <= bytes_.size() - kLengthBytes, "the header claims {} bytes, the file has {}",
          length, bytes_.size());
    const auto text = bytes_.substr(kLengthBytes, length);
    data_ = bytes_.substr(kLengthBytes + length);
    check(!text.empty() && text.front() == '{', "the header is not a JSON object");

    // The library keeps the last of equal keys; here a second one is an error.
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      using Event = nlohmann::json::parse_event_t;
      if (event == Event::object_start) keys.emplace_back();
      if (event == Event::object_end) keys.pop_back();
      if (event == Event::key) {
        const auto& key = value.get_ref<const std::string&>();
        check(keys.back().insert(key).second, "\"{}\" occurs twice in the header", key);
      }
      return true;
    };
    try {
      return nlohmann::json::parse(text, watch);
    } catch (const nlohmann::json::exception& error) {
      check(false, "the header is not JSON ({})", error.what());
      throw;
    }
  }

  Metadata parse_metadata(const nlohmann::json& entry) const {
    check(entry.is_object(), "{} is not an object", kMetadataKey);
    Metadata metadata;
    for (const auto& [key, value] : entry.items()) {
      check(value.is_string(), "the value of \"{}\" in {} is not a string", key, kMetadataKey);
      metadata.emplace(key, value.get<std::string>());
    }
    return metadata;
  }

  std::vector<std::uint64_t> parse_numbers(const std::string& name, const nlohmann::json& entry,
                                           const char* key) const {
    const auto found = entry.find(key);
    check(found != entry.end() && found->is_array() &&
              std::all_of(found->begin(), found->end(),
                          [](const nlohmann::json& value) { return value.is_number_unsigned(); }),
          "{} of tensor \"{}\" is not a list of whole numbers >= 0", key, name);
    return found->get<std::vector<std::uint64_t>>();
  }

  Extent parse_extent(const std::string& name, const nlohmann::json& entry) const {
    check(entry.is_object(), "the entry of tensor \"{}\" is not an object", name);
    const auto dtype = entry.find("dtype");
    check(dtype != entry.end() && dtype->is_string(), "tensor \"{}\" has no dtype", name);
    const auto* type = find_type([&](const ElementType& known) { return *dtype == known.name; });
    check(type != nullptr, "tensor \"{}\" has the unknown dtype {}", name, dtype->dump());

    const auto shape = parse_numbers(name, entry, "shape");
    const auto offsets = parse_numbers(name, entry, "data_offsets");
    check(offsets.size() == 2, "data_offsets of tensor \"{}\" are not two numbers", name);
    check(offsets[0] <= offsets[1] && offsets[1] <= data_.size(),
          "data_offsets [{}, {}] of tensor \"{}\" are outside of the data's {} bytes", offsets[0],
          offsets[1], name, data_.size());

    // Zeros count as one here, so that strides cannot overflow either.
    std::uint64_t room = std::numeric_limits<std::int64_t>::max() / c10::elementSize(type->type);
    std::uint64_t size = c10::elementSize(type->type);
    for (const std::uint64_t length : shape) {
      room /= std::max<std::uint64_t>(length, 1);
      check(room > 0, "shape {} of tensor \"{}\" is too large", fmt::format("{}", shape), name);
      size *= length;
    }
    check(offsets[1] - offsets[0] == size,
          "tensor \"{}\" of dtype {} and shape {} takes {} bytes, its data_offsets span {}", name,
          type->name, fmt::format("{}", shape), size, offsets[1] - offsets[0]);
    return {offsets[0], offsets[1], name, type->type, {shape.begin(), shape.end()}};
  }

  void check_cover(std::vector<Extent>& extents) const {
    std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    std::uint64_t end = 0;
    for (const auto& extent : extents) {
      check(extent.begin >= end, "tensor \"{}\" overlaps the one before it", extent.name);
      check(extent.begin == end, "{} bytes before tensor \"{}\" belong to no tensor",
            extent.begin - end, extent.name);
      end = extent.end;
    }
    check(end == data_.size(), "the last {} bytes belong to no tensor", data_.size() - end);
  }

  at::Tensor copy(const Extent& extent) const {
    const auto source = data_.substr(extent.begin, extent.end - extent.begin);
    check(extent.type != at::kBool ||
              std::all_of(source.begin(), source.end(), [](char c) { return c == 0 || c == 1; }),
          "tensor \"{}\" of dtype BOOL has elements other than 0 and 1", extent.name);
    at::Tensor tensor = at::empty(extent.shape, at::TensorOptions(extent.type));
    if (!source.empty()) std::memcpy(tensor.data_ptr(), source.data(), source.size());
    return tensor;
  }

  std::string_view bytes_;
  std::string_view data_;
  const std::string& file_;
};

}  // namespace

void append_safetensors(const NamedTensors& tensors, const Metadata& metadata,
                        const AppendBytes& append) {
  for (const auto& [name, tensor] : tensors) type_name(name, tensor);
  std::vector<std::pair<std::string, at::Tensor>> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  const std::string header = make_header(ordered, metadata);
  const std::uint64_t length = header.size();
  append({reinterpret_cast<const char*>(&length), kLengthBytes});
  append(header);
  for (const auto& [name, tensor] : ordered) {
    // A lazily negated tensor still holds the other sign in memory.
    const at::Tensor plain = tensor.detach().cpu().resolve_neg().contiguous();
    if (plain.numel() > 0) append({static_cast<const char*>(plain.data_ptr()), plain.nbytes()});
  }
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata) {
  write_file_atomically(
      path, [&](const AppendBytes& append) { append_safetensors(tensors, metadata, append); });
}

NamedTensors read_safetensors(const std::filesystem::path& path, Metadata* metadata) {
  return parse_safetensors(read_file(path), path.string(), metadata);
}

NamedTensors parse_safetensors(std::string_view bytes, const std::string& name,
                               Metadata* metadata) {
  return Parser(bytes, name).parse(metadata);
}

}  // namespace decorr::io
