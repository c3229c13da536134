#pragma once

namespace decorr::app {

/// Starts the program with arguments `argv` again with settings of OpenMP and of the C library that
/// are read when a program is loaded, unless the user has chosen them; for the first line of
/// main().
///
/// OpenMP's threads wait for each other by spinning. On a core that another process wants too, that
/// costs a whole time slice at every barrier: an epoch took 20 times as long beside one busy
/// process. So they spin for a short while only.
///
/// A training step asks for the same memory again and again. The allocator keeps it rather than
/// giving it back to the kernel, which would have to clear it page by page in the next step, and
/// takes it in huge pages where the kernel has them.
void restart_with_settings(char** argv);

}  // namespace decorr::app
