#pragma once

namespace decorr {

/// Number of processors this process may run on (respects CPU affinity), at least 1.
int available_processors();

/// Sets how many threads LibTorch and oneDNN use for work started by the *calling* thread.
///
/// OpenMP keeps this number per calling thread, so a thread that computes (a prefetch thread, say)
/// sets its own. `count` 0 means available_processors(). Throws `std::invalid_argument` if
/// negative.
void set_threads(int count);

/// Number of threads in use for work started by the calling thread.
int threads();

}  // namespace decorr
