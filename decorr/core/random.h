#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace decorr {

/// A stream of random numbers addressed by position: Philox4x32-10 (Salmon et al., SC 2011).
///
/// The number at a position depends on the seed, the stream and the position alone. There is no
/// state: two processes that ask for the same position get the same number, in any order and with
/// any number of threads, and a resumed run needs nothing but its step counter. Integer operations
/// only, so draws agree between machines (normal() also uses the C library's log, sin and cos).
class RandomStream {
 public:
  /// `seed` is the run's seed; `stream` separates independent uses of the same seed.
  explicit RandomStream(std::uint64_t seed, std::uint64_t stream = 0);

  /// The stream named `name` of the run's seed.
  RandomStream(std::uint64_t seed, std::string_view name);

  /// A stream that is independent of this one for each value of `index` (an epoch, a step).
  RandomStream at(std::uint64_t index) const;

  /// 64 uniform bits for `position`.
  std::uint64_t bits(std::uint64_t position) const;

  /// Uniform in [0, 1) with 53 bits of resolution.
  double uniform(std::uint64_t position) const;

  /// Uniform integer in [0, bound), bound > 0; the bias is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound, std::uint64_t position) const;

  /// Tensor of uniform numbers in [low, high), filled in row-major order from position 0.
  at::Tensor uniform(at::IntArrayRef sizes, double low, double high,
                     const at::TensorOptions& options) const;

  /// Tensor of standard normal numbers (Box-Muller), filled in row-major order from position 0.
  at::Tensor normal(at::IntArrayRef sizes, const at::TensorOptions& options) const;

  /// Tensor of independent signs +1 and -1, each with probability one half: zero mean, unit
  /// variance, and a bit per number.
  at::Tensor signs(at::IntArrayRef sizes, const at::TensorOptions& options) const;

  /// A random permutation of 0 … count - 1 (Fisher-Yates).
  std::vector<std::int64_t> permutation(std::int64_t count) const;

 private:
  std::array<std::uint32_t, 4> block(std::uint64_t position) const;

  std::uint64_t seed_;
  std::uint64_t stream_;
};

}  // namespace decorr
