#include "decorr/core/random.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <numeric>

namespace decorr {
namespace {

constexpr std::uint64_t kTwo53 = 1ULL << 53;
constexpr double kPi = 3.14159265358979323846;

// Spreads a 64-bit word over all bits (the finalizer of SplitMix64).
std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

// FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325ULL;
  for (const char c : text) {
    value ^= static_cast<unsigned char>(c);
    value *= 0x100000001B3ULL;
  }
  return value;
}

double to_unit(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) / static_cast<double>(kTwo53);
}

// Calls write(position, data) for every element of a new CPU tensor in parallel, then moves it.
template <typename Write>
at::Tensor fill(at::IntArrayRef sizes, const at::TensorOptions& options, Write write) {
  const auto type = c10::typeMetaToScalarType(options.dtype());
  check_argument(type == at::kFloat || type == at::kDouble,
                 "[RandomStream] tensors are float32 or float64, got {}", c10::toString(type));
  const at::Tensor result = at::empty(sizes, options.device(at::kCPU));
  constexpr std::int64_t kGrain = 1 << 14;
  const auto run = [&](auto* data) {
    at::parallel_for(0, result.numel(), kGrain,
                     [&](std::int64_t begin, std::int64_t end) { write(begin, end, data); });
  };
  if (type == at::kFloat) {
    run(result.data_ptr<float>());
  } else {
    run(result.data_ptr<double>());
  }
  return result.to(options.device());
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::uint64_t stream)
    : seed_(seed), stream_(stream) {}

RandomStream::RandomStream(std::uint64_t seed, std::string_view name)
    : RandomStream(seed, hash(name)) {}

RandomStream RandomStream::at(std::uint64_t index) const {
  return RandomStream(seed_, mix(stream_ ^ mix(index)));
}

std::array<std::uint32_t, 4> RandomStream::block(std::uint64_t position) const {
  std::uint32_t c0 = static_cast<std::uint32_t>(position);
  std::uint32_t c1 = static_cast<std::uint32_t>(position >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(stream_);
  std::uint32_t c3 = static_cast<std::uint32_t>(stream_ >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed_);
  std::uint32_t k1 = static_cast<std::uint32_t>(seed_ >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ULL * c0;
    const std::uint64_t p1 = 0xCD9E8D57ULL * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {c0, c1, c2, c3};
}

std::uint64_t RandomStream::bits(std::uint64_t position) const {
  const auto words = block(position);
  return static_cast<std::uint64_t>(words[1]) << 32 | words[0];
}

double RandomStream::uniform(std::uint64_t position) const { return to_unit(bits(position)); }

std::uint64_t RandomStream::below(std::uint64_t bound, std::uint64_t position) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(bits(position)) * bound) >> 64);
}

at::Tensor RandomStream::uniform(at::IntArrayRef sizes, double low, double high,
                                 const at::TensorOptions& options) const {
  return fill(sizes, options, [&](std::int64_t begin, std::int64_t end, auto* data) {
    using Scalar = std::remove_pointer_t<decltype(data)>;
    for (std::int64_t i = begin; i < end; ++i)
      data[i] = static_cast<Scalar>(low + (high - low) * uniform(static_cast<std::uint64_t>(i)));
  });
}

at::Tensor RandomStream::normal(at::IntArrayRef sizes, const at::TensorOptions& options) const {
  return fill(sizes, options, [&](std::int64_t begin, std::int64_t end, auto* data) {
    using Scalar = std::remove_pointer_t<decltype(data)>;
    for (std::int64_t i = begin; i < end; ++i) {
      const auto words = block(static_cast<std::uint64_t>(i));
      const std::uint64_t a = static_cast<std::uint64_t>(words[1]) << 32 | words[0];
      const std::uint64_t b = static_cast<std::uint64_t>(words[3]) << 32 | words[2];
      const double radius = std::sqrt(-2.0 * std::log1p(-to_unit(a)));
      data[i] = static_cast<Scalar>(radius * std::cos(2.0 * kPi * to_unit(b)));
    }
  });
}

at::Tensor RandomStream::signs(at::IntArrayRef sizes, const at::TensorOptions& options) const {
  return fill(sizes, options, [&](std::int64_t begin, std::int64_t end, auto* data) {
    using Scalar = std::remove_pointer_t<decltype(data)>;
    constexpr std::int64_t kBits = 128;
    for (std::int64_t i = begin; i < end;) {
      const auto words = block(static_cast<std::uint64_t>(i / kBits));
      const std::int64_t stop = std::min(end, (i / kBits + 1) * kBits);
      for (; i < stop; ++i) {
        const auto bit = static_cast<std::uint32_t>(i % kBits);
        data[i] = static_cast<Scalar>((words[bit / 32] >> (bit % 32) & 1U) != 0 ? 1 : -1);
      }
    }
  });
}

std::vector<std::int64_t> RandomStream::permutation(std::int64_t count) const {
  check_argument(count >= 0, "[RandomStream] cannot permute {} items", count);
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i, i)]);
  return order;
}

}  // namespace decorr
