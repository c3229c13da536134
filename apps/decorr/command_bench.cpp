#include "apps/decorr/command_bench.h"

#include <CLI/CLI.hpp>

#include "apps/decorr/commands.h"
#include <memory>

namespace decorr::app {
namespace {

constexpr const char* kBenchFooter = R"(Example:
  decorr bench step --model mlp
  decorr bench kernels --threads 1
  decorr bench loader --json

Times are wall-clock times, given as median ± half of the interquartile range after runs that warm
up. Nothing else should run on the machine: what takes turns is disturbed alike, but the figures
are those of a busy machine all the same.)";

}  // namespace

void add_bench_options(CLI::App& command, BenchArguments& arguments) {
  constexpr int kMaxThreads = 4096, kMaxScale = 100;
  command
      .add_option("--threads", arguments.threads,
                  "Threads; 0 (default): as many as there are processors")
      ->check(CLI::Range(0, kMaxThreads));
  command
      .add_option("--scale", arguments.scale,
                  "Divide widths and batch by this, for a quick check that it runs (default 1)")
      ->check(CLI::Range(1, kMaxScale));
  command.add_flag("--json", arguments.json, "Print one line of JSON");
}

void add_bench(CLI::App& program, int& exit_code) {
  CLI::App* command =
      program.add_subcommand("bench", "Time training steps, their kernels and the loader.");
  command->footer(kBenchFooter);
  command->require_subcommand(1);
  add_bench_step(*command, exit_code);
  add_bench_kernels(*command, exit_code);
  add_bench_loader(*command, exit_code);
}

}  // namespace decorr::app
