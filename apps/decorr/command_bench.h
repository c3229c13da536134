#pragma once

#include <CLI/App.hpp>

/// The subcommands of `decorr bench`.
namespace decorr::app {

/// What all of them take.
struct BenchArguments {
  int threads = 0;
  int scale = 1;
  bool json = false;
};

/// Adds the options that set `arguments`.
void add_bench_options(CLI::App& command, BenchArguments& arguments);

void add_bench_step(CLI::App& bench, int& exit_code);
void add_bench_kernels(CLI::App& bench, int& exit_code);
void add_bench_loader(CLI::App& bench, int& exit_code);

}  // namespace decorr::app
