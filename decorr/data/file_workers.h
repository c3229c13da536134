#pragma once

#include <cstddef>
#include <functional>
#include <string>

// Internal to data/: not installed.
namespace decorr::data {

/// Calls work(0) … work(count - 1) on as many threads as there are processors, each of which
/// computes with a single LibTorch thread. If that takes long and stderr is a terminal, a line says
/// how far `what` has come. Rethrows what the call with the lowest number threw; calls that have
/// not begun by then are left out. Throws LoadStopped, with calls left out, if `should_stop`, which
/// is asked in the calling thread at the start and several times a second, says so;
/// `std::runtime_error` if no thread can be started.
void for_each_file(const std::string& what, std::size_t count,
                   const std::function<void(std::size_t)>& work,
                   const std::function<bool()>& should_stop = {});

}  // namespace decorr::data
