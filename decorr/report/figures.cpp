#include "decorr/report/figures.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"
#include "decorr/report/assets.h"
#include "decorr/report/chart_data.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

extern char** environ;

namespace decorr::report {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPython = "/usr/bin/python3";
constexpr int kNoMatplotlib = 3;  // exit code of the script
constexpr std::array<const char*, 4> kFigures = {"accuracy_by_epoch", "accuracy_by_seconds", "loss",
                                                 "energy"};

// A folder of our own, gone at the end of the scope.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "decorr-figures-XXXXXX").string();
    check_runtime(mkdtemp(name.data()) != nullptr,
                  "cannot create a temporary folder {}: {}; free space there or set TMPDIR", name,
                  std::generic_category().message(errno));
    path_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// Runs a program to its end with its output in `log`; its exit code, or -1 if a signal ended it.
// `error` is that of the start.
int run(std::vector<std::string> arguments, const fs::path& log, int& error) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  error = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "no message";
  const std::size_t begin = text.rfind('\n', end);
  return text.substr(begin + 1, end - begin);
}

}  // namespace

void write_figures(const Report& report, const std::vector<FigureFolder>& folders) {
  if (folders.empty()) return;
  const Scratch scratch;
  io::write_file_atomically(scratch / "figures.py", figures_py());
  io::write_file_atomically(
      scratch / "data.json",
      chart_data(report).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  std::vector<std::string> arguments = {kPython, (scratch / "figures.py").string(),
                                        (scratch / "data.json").string(), (scratch / "").string()};
  for (const FigureFolder& folder : folders) arguments.emplace_back(folder.format);
  int error = 0;
  const int code = run(arguments, scratch / "log", error);
  check_runtime(error == 0, "cannot draw figures, {}: {}, install python3-matplotlib", kPython,
                std::generic_category().message(error));
  check_runtime(code != kNoMatplotlib,
                "cannot draw figures, {} finds no matplotlib, install python3-matplotlib", kPython);
  check_runtime(code == 0, "cannot draw figures, {}: {}, reinstall python3-matplotlib", kPython,
                last_line(io::read_file(scratch / "log")));
  for (const FigureFolder& folder : folders) {
    std::error_code failure;
    fs::create_directories(folder.path, failure);
    check_runtime(!failure, "cannot create the folder {}: {}; choose another --{}",
                  folder.path.string(), failure.message(), folder.format);
    for (const char* figure : kFigures) {
      const std::string name = fmt::format("{}.{}", figure, folder.format);
      io::write_file_atomically(folder.path / name, io::read_file(scratch / name.c_str()));
    }
  }
}

}  // namespace decorr::report
