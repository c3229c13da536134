#include "decorr/sweep/child_process.h"

#include "decorr/core/check.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace decorr::sweep {
namespace {

constexpr int kCannotStart = 127;

// In the new process; only calls that are safe between fork and exec.
[[noreturn]] void become(char** arguments, int input, int errors, pid_t parent) {
  setpgid(0, 0);  // out of the terminal's way: Ctrl-C is for the sweep, which passes it on
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kCannotStart);  // it has ended already
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);  // the sweep takes its signals by a thread
  dup2(input, STDIN_FILENO);
  dup2(input, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  execv("/proc/self/exe", arguments);
  _exit(kCannotStart);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments,
                           const std::filesystem::path& log) {
  std::vector<std::string> words{"decorr"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int input = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int errors = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int reason = errno;
  const pid_t parent = getpid();
  if (input >= 0 && errors >= 0) pid_ = fork();
  if (pid_ == 0) become(pointers.data(), input, errors, parent);
  const int fork_reason = errno;
  if (input >= 0) close(input);
  if (errors >= 0) close(errors);
  check_runtime(input >= 0 && errors >= 0, "cannot create a file, {}, {}", log.string(),
                std::strerror(reason));
  check_runtime(pid_ > 0, "cannot start a process, {}, {}", log.string(),
                std::strerror(fork_reason));
}

ChildProcess::~ChildProcess() {
  if (exit_) return;
  terminate();
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

std::optional<ChildExit> ChildProcess::poll() {
  if (exit_) return exit_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_)
    exit_ =
        WIFSIGNALED(status) ? ChildExit{0, WTERMSIG(status)} : ChildExit{WEXITSTATUS(status), 0};
  return exit_;
}

void ChildProcess::terminate() {
  if (terminated_ || exit_) return;
  terminated_ = true;
  kill(pid_, SIGTERM);
}

}  // namespace decorr::sweep
