#include "decorr/io/safetensors.h"

#include "decorr/core/random.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace decorr::io {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::FileSizeLimit;
using testing_support::names_in;
using testing_support::TemporaryFolder;

constexpr at::ScalarType kTypes[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                     at::kInt,    at::kShort, at::kChar, at::kByte,     at::kBool};

// 8 bytes of length, the header, 4 bytes of a bfloat16 pair, then 3 bytes of uint8.
const std::string kFixture = std::string("\x90\0\0\0\0\0\0\0", 8) +
                             "{\"__metadata__\":{\"made by\":\"hand\"},"
                             "\"b\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]},"
                             "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]}}"
                             " " +
                             std::string("\x80\x3F\x20\xC0\x01\x02\xFF", 7);

// A file with this header (not padded) and data.
std::string file_of(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  const std::uint64_t size = header.size();
  for (int i = 0; i < 8; ++i)
    length[static_cast<std::size_t>(i)] = static_cast<char>(size >> 8 * i);
  return length + header + data;
}

std::string tensor_entry(const std::string& name, const std::string& dtype,
                         const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

std::string rejection(const std::string& bytes) {
  return error_of<std::runtime_error>([&] { parse_safetensors(bytes, "x.safetensors"); });
}

std::string bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

void expect_same(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_EQ(actual.scalar_type(), expected.scalar_type());
  EXPECT_EQ(actual.sizes(), expected.sizes());
  EXPECT_TRUE(actual.is_contiguous());
  EXPECT_EQ(bytes_of(actual), bytes_of(expected.contiguous()));
}

TEST(Safetensors, ReadsBytesWrittenByHand) {
  Metadata metadata{{"old", "gone"}};
  const auto tensors = parse_safetensors(kFixture, "fixture", &metadata);
  ASSERT_EQ(tensors.size(), 2U);
  expect_same(tensors.at("b"), at::tensor({1.0, -2.5}).to(at::kBFloat16).reshape({1, 2}));
  expect_same(tensors.at("a"), at::tensor({1, 2, 255}).to(at::kByte));
  EXPECT_EQ(metadata, (Metadata{{"made by", "hand"}}));
}

TEST(Safetensors, WritesBytesWrittenByHand) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x",
                    {{"a", at::tensor({1, 2, 255}).to(at::kByte)},
                     {"b", at::tensor({1.0, -2.5}).to(at::kBFloat16).reshape({1, 2})}},
                    {{"made by", "hand"}});
  EXPECT_EQ(read_file(folder / "x"), kFixture);
}

TEST(Safetensors, RoundTripsEveryTypeAndShape) {
  const TemporaryFolder folder;
  const RandomStream stream(7);
  const std::vector<std::vector<std::int64_t>> shapes = {{}, {0}, {3, 0, 2}, {1}, {5, 3}};
  NamedTensors tensors;
  for (const auto type : kTypes)
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const auto values = stream.at(i).uniform(shapes[i], 0, 100, at::TensorOptions(at::kDouble));
      const auto signs = stream.at(i + 99).signs(shapes[i], at::TensorOptions(at::kDouble));
      const bool is_signed = type != at::kByte && type != at::kBool;
      tensors[std::string(c10::toString(type)) + "/" + std::to_string(i)] =
          type == at::kBool ? signs.gt(0) : (is_signed ? values * signs : values).to(type);
    }
  write_safetensors(folder / "x", tensors);
  Metadata metadata{{"old", "gone"}};
  const auto loaded = read_safetensors(folder / "x", &metadata);
  ASSERT_EQ(loaded.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    SCOPED_TRACE(name);
    expect_same(loaded.at(name), tensor);
  }
  EXPECT_TRUE(metadata.empty());
}

TEST(Safetensors, KeepsNotANumberInfinityAndTheSignOfZero) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto tensor = at::tensor({-0.0, inf, -inf, std::numeric_limits<double>::quiet_NaN()});
  std::string bytes;
  append_safetensors({{"x", tensor}}, {}, [&](std::string_view piece) { bytes += piece; });
  expect_same(parse_safetensors(bytes, "x").at("x"), tensor);
}

TEST(Safetensors, WritesViewsInRowMajorOrder) {
  const TemporaryFolder folder;
  const auto base = at::arange(12, at::TensorOptions(at::kFloat)).reshape({3, 4});
  const auto negated = at::imag(at::conj(at::complex(base, base)));
  ASSERT_TRUE(negated.is_neg());
  write_safetensors(folder / "x", {{"negated", negated},
                                   {"row", base.select(1, 2)},
                                   {"repeated", base.select(0, 1).expand({2, 4})},
                                   {"transposed", base.t()}});
  const auto loaded = read_safetensors(folder / "x");
  expect_same(loaded.at("transposed"), base.t());
  expect_same(loaded.at("row"), base.select(1, 2));
  expect_same(loaded.at("repeated"), base.select(0, 1).expand({2, 4}));
  expect_same(loaded.at("negated"), -base);
}

TEST(Safetensors, AlignsEveryTensorToItsElement) {
  std::string bytes;
  NamedTensors tensors;
  for (const auto type : kTypes)
    tensors[c10::toString(type)] = at::ones({3}, at::TensorOptions(type));
  append_safetensors(tensors, {}, [&](std::string_view piece) {
    for (const auto& [name, tensor] : tensors) {
      if (piece != bytes_of(tensor)) continue;
      EXPECT_EQ(bytes.size() % static_cast<std::size_t>(tensor.element_size()), 0U) << name;
    }
    bytes += piece;
  });
  EXPECT_EQ(parse_safetensors(bytes, "x").size(), std::size(kTypes));
}

TEST(Safetensors, RoundTripsNoTensorsAtAll) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", {});
  EXPECT_EQ(read_file(folder / "x"), std::string("\x08\0\0\0\0\0\0\0", 8) + "{}      ");
  EXPECT_TRUE(read_safetensors(folder / "x").empty());
}

TEST(Safetensors, RoundTripsAwkwardNames) {
  const TemporaryFolder folder;
  const NamedTensors tensors = {{"", at::ones({1})},
                                {"a \"quoted\"\\\n name", at::ones({1})},
                                {"μ/ξ", at::ones({1})},
                                {"dtype", at::ones({1})}};
  write_safetensors(folder / "x", tensors, {{"", ""}, {"η", "\t"}});
  Metadata metadata;
  const auto loaded = read_safetensors(folder / "x", &metadata);
  for (const auto& [name, tensor] : tensors) EXPECT_EQ(loaded.count(name), 1U) << name;
  EXPECT_EQ(metadata, (Metadata{{"", ""}, {"η", "\t"}}));
}

TEST(Safetensors, RefusesTensorsItCannotStore) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& name, const at::Tensor& tensor) {
    return error_of<std::invalid_argument>([&] {
      write_safetensors(folder / "x", {{name, tensor}});
    });
  };
  EXPECT_THAT(refusal("z", at::ones({2}, at::TensorOptions(at::kComplexFloat))),
              AllOf(HasSubstr("\"z\""), HasSubstr("ComplexFloat")));
  EXPECT_THAT(refusal("s", at::eye(3).to_sparse()), AllOf(HasSubstr("\"s\""), HasSubstr("Sparse")));
  EXPECT_THAT(refusal("u", at::Tensor()), AllOf(HasSubstr("\"u\""), HasSubstr("undefined")));
  EXPECT_THAT(refusal("__metadata__", at::ones({1})), HasSubstr("__metadata__"));
  EXPECT_THAT(refusal("\xFF", at::ones({1})), HasSubstr("UTF-8"));
  EXPECT_THAT(names_in(folder), ElementsAre());
}

TEST(Safetensors, LeavesNothingBehindWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  {
    const FileSizeLimit limit(10'000);
    EXPECT_THAT(error_of<std::runtime_error>([&] {
                  write_safetensors(folder / "x", {{"x", at::ones({100, 100})}});
                }),
                HasSubstr("free space"));
  }
  EXPECT_THAT(names_in(folder), ElementsAre());
}

TEST(Safetensors, RejectsAnyTruncation) {
  for (std::size_t size = 0; size < kFixture.size(); ++size)
    EXPECT_THAT(rejection(kFixture.substr(0, size)), HasSubstr("x.safetensors")) << size;
  EXPECT_THAT(rejection(kFixture + "!"), HasSubstr("the last 1 bytes belong to no tensor"));
}

TEST(Safetensors, RejectsAbsurdHeaders) {
  EXPECT_THAT(rejection("abc"), HasSubstr("it has 3 bytes"));
  EXPECT_THAT(rejection(std::string("\x11\0\0\0\0\0\0\0{}", 10)), HasSubstr("claims 17 bytes"));
  EXPECT_THAT(rejection(std::string(8, '\xFF') + "{}"), HasSubstr("the limit is 100000000"));
  EXPECT_THAT(rejection(file_of("", "")), HasSubstr("not a JSON object"));
  EXPECT_THAT(rejection(file_of("[]", "")), HasSubstr("not a JSON object"));
  EXPECT_THAT(rejection(file_of("{\"a\":", "")), HasSubstr("not JSON"));
  EXPECT_THAT(rejection(file_of("{} x", "")), HasSubstr("not JSON"));
  EXPECT_THAT(rejection(file_of("{\"\xFF\":{}}", "")), HasSubstr("not JSON"));
}

TEST(Safetensors, RejectsDuplicateNames) {
  const auto a = tensor_entry("a", "U8", "[1]", "[0,1]");
  EXPECT_THAT(rejection(file_of("{" + a + "," + a + "}", "x")), HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(rejection(file_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],"
                                "\"dtype\":\"I8\"}}",
                                "x")),
              HasSubstr("\"dtype\" occurs twice"));
  EXPECT_THAT(rejection(file_of("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "")),
              HasSubstr("\"k\" occurs twice"));
}

TEST(Safetensors, RejectsMetadataThatAreNotText) {
  EXPECT_THAT(rejection(file_of("{\"__metadata__\":{\"k\":1}}", "")),
              AllOf(HasSubstr("\"k\""), HasSubstr("not a string")));
  EXPECT_THAT(rejection(file_of("{\"__metadata__\":[]}", "")), HasSubstr("not an object"));
}

TEST(Safetensors, RejectsMalformedEntries) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\"a\":7", "not an object"},
      {"\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}", "no dtype"},
      {tensor_entry("a", "F128", "[1]", "[0,1]"), "unknown dtype \"F128\""},
      {tensor_entry("a", "u8", "[1]", "[0,1]"), "unknown dtype \"u8\""},
      {"\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}", "shape"},
      {"\"a\":{\"dtype\":\"U8\",\"shape\":[1]}", "data_offsets"},
      {tensor_entry("a", "U8", "1", "[0,1]"), "shape"},
      {tensor_entry("a", "U8", "[-1]", "[0,1]"), "shape"},
      {tensor_entry("a", "U8", "[1.0]", "[0,1]"), "shape"},
      {tensor_entry("a", "U8", "[1e99]", "[0,1]"), "shape"},
      {tensor_entry("a", "U8", "[1]", "[0]"), "not two numbers"},
      {tensor_entry("a", "U8", "[1]", "[0,1,1]"), "not two numbers"},
      {tensor_entry("a", "U8", "[1]", "[0,\"1\"]"), "data_offsets"},
      {tensor_entry("a", "U8", "[2]", "[0,2]"), "outside of the data's 1 bytes"},
      {tensor_entry("a", "U8", "[1]", "[1,0]"), "outside of the data's 1 bytes"},
      {tensor_entry("a", "U8", "[1]", "[18446744073709551615,1]"), "outside of the data"},
      {tensor_entry("a", "U8", "[2]", "[0,1]"), "takes 2 bytes"},
      {tensor_entry("a", "I16", "[1]", "[0,1]"), "takes 2 bytes"},
      {tensor_entry("a", "U8", "[]", "[0,0]"), "takes 1 bytes"},
      {tensor_entry("a", "BOOL", "[1]", "[0,1]"), "other than 0 and 1"},
      // Products that are 1, or 0, modulo 2^64.
      {tensor_entry("a", "U8", "[18446744073709551615,18446744073709551615]", "[0,1]"),
       "too large"},
      {tensor_entry("a", "F64", "[4294967296,4294967296]", "[0,0]"), "too large"},
      {tensor_entry("a", "F64", "[2305843009213693952]", "[0,0]"), "too large"},
      {tensor_entry("a", "U8", "[0,4294967296,4294967296]", "[0,0]"), "too large"}};
  for (const auto& [entry, reason] : cases)
    EXPECT_THAT(rejection(file_of("{" + entry + "}", "x")),
                AllOf(HasSubstr("x.safetensors"), HasSubstr("\"a\""), HasSubstr(reason)))
        << entry;
}

TEST(Safetensors, RejectsGapsAndOverlaps) {
  const auto layout = [](const std::string& a, const std::string& b) {
    return rejection(file_of(
        "{" + tensor_entry("a", "U8", "[4]", a) + "," + tensor_entry("b", "U8", "[4]", b) + "}",
        std::string(10, '\0')));
  };
  EXPECT_THAT(layout("[0,4]", "[3,7]"), HasSubstr("\"b\" overlaps"));
  EXPECT_THAT(layout("[0,4]", "[0,4]"), HasSubstr("\"b\" overlaps"));
  EXPECT_THAT(layout("[5,9]", "[1,5]"), HasSubstr("1 bytes before tensor \"b\""));
  EXPECT_THAT(layout("[6,10]", "[0,4]"), HasSubstr("2 bytes before tensor \"a\""));
  EXPECT_THAT(layout("[0,4]", "[4,8]"), HasSubstr("the last 2 bytes"));
}

TEST(Safetensors, ReadsEntriesInAnyOrderAndEmptyTensorsAnywhereBetween) {
  const auto tensors =
      parse_safetensors(file_of("{" + tensor_entry("z", "U8", "[2]", "[0,2]") + "," +
                                    tensor_entry("e", "F32", "[0,5]", "[2,2]") + "," +
                                    tensor_entry("a", "I16", "[1]", "[2,4]") + "}  ",
                                std::string("\x07\x08\x01\x02", 4)),
                        "x");
  expect_same(tensors.at("z"), at::tensor({7, 8}).to(at::kByte));
  expect_same(tensors.at("a"), at::tensor({513}).to(at::kShort));
  EXPECT_EQ(tensors.at("e").sizes(), at::IntArrayRef({0, 5}));
}

TEST(Safetensors, ReaderNamesAMissingFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of<std::runtime_error>([&] { read_safetensors(folder / "none"); }),
              HasSubstr((folder / "none").string()));
}

}  // namespace
}  // namespace decorr::io
