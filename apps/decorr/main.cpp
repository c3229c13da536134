// The command-line program: one file per subcommand, the work in the library.
#include "decorr/core/version.h"

#include <CLI/CLI.hpp>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "apps/decorr/commands.h"
#include "apps/decorr/process_settings.h"
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

namespace {

using namespace decorr::app;

constexpr const char* kFooter = R"(Example:
  decorr train configs/fashion_mnist_mlp.toml --out runs/a
  decorr eval runs/a

Exit codes: 0 success; 1 failure while running; 2 bad usage, configuration or data (nothing was
written); 3 training diverged (last good checkpoint kept); 130 interrupted (checkpoint written).)";

int fail(int code, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  fmt::print(stderr, "decorr: error: {}\n", message);
  return code;
}

int run(int argc, char** argv) {
  CLI::App program("Trains neural networks with decorrelated layer inputs.", "decorr");
  program.footer(kFooter);
  program.set_version_flag("--version", std::string("decorr ") + decorr::kVersion);
  program.require_subcommand(1);
  int exit_code = kSuccess;
  add_train(program, exit_code);
  add_eval(program, exit_code);
  add_sweep(program, exit_code);
  add_data(program, exit_code);
  add_info(program, exit_code);
  add_bench(program, exit_code);
  add_report(program, exit_code);
  try {
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp& request) {
    return program.exit(request);
  } catch (const CLI::CallForAllHelp& request) {
    return program.exit(request);
  } catch (const CLI::CallForVersion& request) {
    return program.exit(request);
  } catch (const CLI::ParseError& error) {
    return fail(kBadInput, fmt::format("{}, command line, see decorr --help", error.what()));
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  // Starting again costs as long as loading LibTorch: only for what computes long enough.
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "train" || command == "bench") restart_with_settings(argv);
  std::signal(SIGXFSZ, SIG_IGN);  // a full quota is an error to report, not the end of the process
  try {
    return run(argc, argv);
  } catch (const BadInput& error) {
    return fail(kBadInput, error.what());
  } catch (const std::invalid_argument& error) {
    return fail(kBadInput, error.what());
  } catch (const c10::Error& error) {
    return fail(kFailure, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return fail(kFailure, error.what());
  }
}
