#include "decorr/sweep/sweep.h"
#include "decorr/train/interrupt.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/decorr/commands.h"
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace decorr::app {
namespace {

struct SweepArguments {
  std::string sweep;
  std::string out;
  std::int64_t jobs = 0;
  std::int64_t threads = 0;
  bool dry_run = false;
  bool quiet = false;
};

constexpr const char* kSweepFooter = R"(Example:
  decorr sweep lr.toml --jobs 2 --threads 1
  decorr sweep lr.toml --dry-run
The same command again goes on with a sweep that was stopped or whose file has grown.
docs/sweeps.md describes the file.)";

// Up to here nothing is written: missing data or a damaged state are bad input too.
std::unique_ptr<sweep::Sweep> prepare_sweep(const SweepArguments& arguments,
                                            const std::filesystem::path& out) {
  try {
    return std::make_unique<sweep::Sweep>(
        arguments.sweep, sweep::SweepOptions{out, arguments.jobs, arguments.threads});
  } catch (const std::runtime_error& error) {
    throw BadInput(error.what());
  }
}

std::string command_to_go_on(const SweepArguments& arguments, const std::filesystem::path& out) {
  std::string command = fmt::format("decorr sweep {} --out {}", arguments.sweep, out.string());
  if (arguments.jobs > 0) command += fmt::format(" --jobs {}", arguments.jobs);
  if (arguments.threads > 0) command += fmt::format(" --threads {}", arguments.threads);
  return command;
}

int sweep(const SweepArguments& arguments) {
  const std::filesystem::path out =
      arguments.out.empty()
          ? std::filesystem::path("runs") / std::filesystem::path(arguments.sweep).stem()
          : std::filesystem::path(arguments.out);
  const auto sweep = prepare_sweep(arguments, out);
  if (arguments.dry_run) {
    fmt::print("{}", sweep->description());
    return kSuccess;
  }
  const train::InterruptGuard interrupt;
  train::Progress progress(stdout, arguments.quiet);
  switch (sweep->run(progress, [&] { return interrupt.requested(); })) {
    case sweep::SweepOutcome::kInterrupted:
      progress.line("interrupted; go on with: " + command_to_go_on(arguments, out));
      return kInterrupted;
    case sweep::SweepOutcome::kFailed:
      fmt::print(stderr, "decorr: error: {}\n", sweep->failure());
      return kFailure;
    case sweep::SweepOutcome::kNothingUsable:
      fmt::print(stderr,
                 "decorr: error: no setting has a number to compare from all its runs, {}, see "
                 "results.csv there; if they diverged, lower the learning rates\n",
                 out.string());
      return kDiverged;
    case sweep::SweepOutcome::kCompleted:
      break;
  }
  progress.line(fmt::format("sweep written to {}", out.string()));
  return kSuccess;
}

}  // namespace

void add_sweep(CLI::App& program, int& exit_code) {
  constexpr int kMaxJobs = 4096;
  auto arguments = std::make_shared<SweepArguments>();
  CLI::App* command =
      program.add_subcommand("sweep", "Train many settings and find the best, as a file says.");
  command->footer(kSweepFooter);
  command->add_option("SWEEP", arguments->sweep, "Sweep file (TOML)")->required();
  command->add_option("--out", arguments->out,
                      "Folder of the sweep, new, empty or one to go on with (default: runs/<name "
                      "of SWEEP>)");
  command
      ->add_option("--jobs", arguments->jobs,
                   "Runs at a time (default: as many as the processors have room for)")
      ->check(CLI::Range(1, kMaxJobs));
  command
      ->add_option("--threads", arguments->threads,
                   "Threads of each run (default: as the sweep began, train.threads, or the "
                   "processors shared by jobs)")
      ->check(CLI::Range(1, kMaxJobs));
  command->add_flag("--dry-run", arguments->dry_run, "Print what would be run, and write nothing");
  command->add_flag("--quiet", arguments->quiet, "Print nothing but errors");
  command->callback([arguments, &exit_code] { exit_code = sweep(*arguments); });
}

}  // namespace decorr::app
