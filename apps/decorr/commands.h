#pragma once

#include <CLI/App.hpp>

/// The subcommands: each adds itself to the program and sets `exit_code` when it has run.
namespace decorr::app {

/// Exit codes of the program.
constexpr int kSuccess = 0;
constexpr int kFailure = 1;
constexpr int kBadInput = 2;
constexpr int kDiverged = 3;
constexpr int kInterrupted = 130;

void add_train(CLI::App& program, int& exit_code);
void add_eval(CLI::App& program, int& exit_code);
void add_sweep(CLI::App& program, int& exit_code);
void add_data(CLI::App& program, int& exit_code);
void add_data_fetch(CLI::App& data_command, int& exit_code);
void add_info(CLI::App& program, int& exit_code);
void add_bench(CLI::App& program, int& exit_code);
void add_report(CLI::App& program, int& exit_code);

/// Something the user gave is wrong: reported with exit code 2.
class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace decorr::app
