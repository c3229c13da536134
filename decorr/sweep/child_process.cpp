#include "decorr/sweep/child_process.h"

#include "decorr/core/check.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace decorr::sweep {
namespace {

constexpr int kCannotStart = 127;

// In the new process; only calls that are safe between fork and exec.
[[noreturn]] void become(const char* program, char** arguments, int input, int errors,
                         int lifeline) {
  setpgid(0, 0);  // out of the terminal's way: Ctrl-C is for the sweep, which passes it on
  // SIGTERM when the other end is closed, by whatever ends the parent. PR_SET_PDEATHSIG would send
  // one for every thread of the parent, and the second one ends training without a checkpoint.
  fcntl(lifeline, F_SETFD, 0);
  fcntl(lifeline, F_SETOWN, getpid());
  fcntl(lifeline, F_SETSIG, SIGTERM);
  fcntl(lifeline, F_SETFL, O_ASYNC);
  pollfd closed{lifeline, POLLIN, 0};
  if (poll(&closed, 1, 0) != 0) _exit(kCannotStart);  // it was closed before
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);  // the sweep takes its signals by a thread
  dup2(input, STDIN_FILENO);
  dup2(input, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  execv(program, arguments);
  _exit(kCannotStart);
}

}  // namespace

ChildProcess::ChildProcess(const std::filesystem::path& program,
                           const std::vector<std::string>& arguments,
                           const std::filesystem::path& log) {
  std::vector<std::string> words{"decorr"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int input = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int errors = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int reason = errno;
  int lifeline[2] = {-1, -1};
  const bool opened = input >= 0 && errors >= 0;
  if (opened && pipe2(lifeline, O_CLOEXEC) == 0) pid_ = fork();
  const int fork_reason = errno;
  if (pid_ == 0) {
    close(lifeline[1]);
    become(program.c_str(), pointers.data(), input, errors, lifeline[0]);
  }
  for (const int file : {input, errors, lifeline[0]})
    if (file >= 0) close(file);
  lifeline_ = lifeline[1];
  if (pid_ < 0 && lifeline_ >= 0) close(lifeline_);
  check_runtime(opened, "cannot create a file, {}, {}", log.string(), std::strerror(reason));
  check_runtime(pid_ > 0, "cannot start a process, {}, {}", log.string(),
                std::strerror(fork_reason));
}

ChildProcess::~ChildProcess() {
  if (!exit_) {
    terminate();
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  close(lifeline_);
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
