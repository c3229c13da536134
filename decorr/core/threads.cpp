#include "decorr/core/threads.h"

#include "decorr/core/check.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <omp.h>
#include <sched.h>
#include <thread>

namespace decorr {

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void set_threads(int count) {
  check_argument(count >= 0, "[set_threads] count must be 0 (all processors) or more, got {}",
                 count);
  const int wanted = count == 0 ? available_processors() : count;
  // The first call makes LibTorch initialise this thread; at::set_num_threads would change the
  // default of every other thread too.
  at::get_num_threads();
  omp_set_num_threads(wanted);
}

int threads() { return at::get_num_threads(); }

}  // namespace decorr
