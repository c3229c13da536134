#pragma once

#include <cstdint>
#include <functional>

namespace decorr::bench {

/// The most bytes of tensors on the CPU that exist at one time while `work()` runs, beyond those
/// that exist when it starts. What libraries allocate inside their own functions does not count.
///
/// Only memory allocated in the process by LibTorch after the first call is seen. Not meant to be
/// called from two threads at once.
std::int64_t peak_tensor_bytes(const std::function<void()>& work);

}  // namespace decorr::bench
