#include "apps/decorr/bench_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/version.h>

#include <atomic>
#include <malloc.h>

// LibTorch's interface of allocators lost its const in 2.3.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
#define DECORR_ALLOCATE_CONST
#else
#define DECORR_ALLOCATE_CONST const
#endif

namespace decorr::bench {
namespace {

std::atomic<std::int64_t> live{0}, peak{0};

// LibTorch's oneDNN asks for memory whose deleter needs nothing but its address, so the size is
// asked of the C library.
std::int64_t size_of(void* memory) { return static_cast<std::int64_t>(malloc_usable_size(memory)); }

void release(void* memory) {
  live -= size_of(memory);
  c10::free_cpu(memory);
}

class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) DECORR_ALLOCATE_CONST override {
    void* memory = c10::alloc_cpu(size);
    const std::int64_t now = live += size_of(memory);
    for (std::int64_t seen = peak; now > seen && !peak.compare_exchange_weak(seen, now);) {
    }
    return {memory, memory, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  void copy_data(void* target, const void* source, std::size_t count) const override {
    default_copy_data(target, source, count);
  }
#endif
};

}  // namespace

std::int64_t peak_tensor_bytes(const std::function<void()>& work) {
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/1);
  const std::int64_t before = live;
  peak = before;
  work();
  return peak - before;
}

}  // namespace decorr::bench
