#pragma once

#include <cstdint>

/// What this machine can do at best, by which shares are reckoned.
namespace decorr::bench {

/// Operations a second of square float32 products of order 2048 / `scale` (at least 128) through
/// linalg::gemm_(): the best of several.
double peak_flops(std::int64_t scale);

/// Elements (float32) of the memory that is copied and changed: 64 MiB / `scale`.
std::int64_t streamed_elements(std::int64_t scale);

/// Bytes a second read and written by copying memory or by changing it in place, whichever is
/// faster: the best of several. (A copy may read its target too before it is written, which is not
/// counted.)
double memory_bandwidth(std::int64_t scale);

}  // namespace decorr::bench
