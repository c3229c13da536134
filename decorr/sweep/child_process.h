#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

// A training run as a process of its own. Internal to sweep/: not installed.
namespace decorr::sweep {

/// How a process ended: with an exit code, or by a signal.
struct ChildExit {
  int code = 0;    ///< exit code, if `signal` is 0
  int signal = 0;  ///< that killed it
};

/// The program `decorr`, at work.
///
/// It reads nothing, its output is thrown away and its errors go to a file. Signals of the terminal
/// do not reach it. If this process ends, however that may be, it gets SIGTERM, by which training
/// writes a checkpoint and ends; the object's destructor sends it too, and waits.
class ChildProcess {
 public:
  /// Starts `program arguments...`, errors going to the new file `log`. Throws
  /// `std::runtime_error`.
  ChildProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
               const std::filesystem::path& log);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// How it ended, or nothing while it runs.
  std::optional<ChildExit> poll();

  /// Sends SIGTERM, once: a second one would keep training from writing its checkpoint.
  void terminate();

  /// Whether SIGTERM was sent.
  bool terminated() const { return terminated_; }

 private:
  pid_t pid_ = -1;
  int lifeline_ = -1;  // an end of a pipe, which closes with this process
  bool terminated_ = false;
  std::optional<ChildExit> exit_;
};

}  // namespace decorr::sweep
