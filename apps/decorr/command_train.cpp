#include "decorr/data/image_tree.h"
#include "decorr/train/config.h"
#include "decorr/train/interrupt.h"
#include "decorr/train/trainer.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/decorr/commands.h"
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace decorr::app {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string out;
  std::string root;
  bool resume = false;
  bool quiet = false;
  bool help_config = false;
};

constexpr const char* kTrainFooter = R"(Example:
  decorr train configs/fashion_mnist_mlp.toml --out runs/a
  decorr train configs/fashion_mnist_mlp.toml --set decorrelation.method=none --out runs/plain
  decorr train --out runs/a --resume)";

train::Config configuration(const TrainArguments& arguments) {
  if (!arguments.config.empty()) return train::load_config(arguments.config, arguments.overrides);
  if (!arguments.resume || arguments.out.empty())
    throw BadInput(
        "no configuration, command line, give CONFIG.toml, or --out DIR --resume to go on with a "
        "run");
  const std::filesystem::path file = std::filesystem::path(arguments.out) / "config.toml";
  if (!std::filesystem::exists(file))
    throw BadInput(fmt::format(
        "not a run directory, {}, it has no config.toml: give CONFIG.toml too", arguments.out));
  return train::load_config(file.string(), arguments.overrides);
}

// Up to here nothing is written: data or a checkpoint that cannot be read is bad input too. Null if
// interrupted.
std::unique_ptr<train::Trainer> prepare_training(const train::Config& config,
                                                 const std::filesystem::path& out, bool resume,
                                                 train::Progress& progress,
                                                 const std::function<bool()>& interrupted) {
  try {
    return std::make_unique<train::Trainer>(config, out, resume, progress, interrupted);
  } catch (const data::LoadStopped&) {
    return nullptr;
  } catch (const std::runtime_error& error) {
    throw BadInput(error.what());
  }
}

int train(const TrainArguments& arguments) {
  if (arguments.help_config) {
    fmt::print("{}", train::describe_config());
    return kSuccess;
  }
  train::Config config = configuration(arguments);
  if (!arguments.root.empty()) config.data.root = arguments.root;
  const std::filesystem::path out =
      arguments.out.empty()
          ? std::filesystem::path("runs") / std::filesystem::path(arguments.config).stem()
          : std::filesystem::path(arguments.out);
  const train::InterruptGuard interrupt;
  train::Progress progress(stdout, arguments.quiet);
  const auto interrupted = [&] { return interrupt.requested(); };
  const auto trainer = prepare_training(config, out, arguments.resume, progress, interrupted);
  if (trainer == nullptr) {
    progress.line("interrupted while the data were loaded; nothing was written");
    return kInterrupted;
  }
  if (arguments.resume)
    progress.line(fmt::format("resuming {} at step {}", out.string(), trainer->state().step));
  const train::Outcome outcome = trainer->run(interrupted);
  switch (outcome) {
    case train::Outcome::kDiverged:
      fmt::print(stderr,
                 "decorr: error: training diverged, step {} of {}, lower optimizer.lr or set "
                 "optimizer.clip_norm; the last good checkpoint is kept\n",
                 trainer->state().step + 1, out.string());
      return kDiverged;
    case train::Outcome::kInterrupted:
      progress.line(
          fmt::format("interrupted at step {}; go on with: decorr train --out {} --resume",
                      trainer->state().step, out.string()));
      return kInterrupted;
    case train::Outcome::kStoppedEarly:
      progress.line(fmt::format("stopped early after epoch {}: no better loss for {} epochs",
                                trainer->state().epoch, config.train.early_stopping));
      break;
    case train::Outcome::kCompleted:
      break;
  }
  progress.line(fmt::format("run written to {}", out.string()));
  return kSuccess;
}

}  // namespace

void add_train(CLI::App& program, int& exit_code) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = program.add_subcommand("train", "Train a network as a configuration says.");
  command->footer(kTrainFooter);
  command->add_option("CONFIG", arguments->config, "Configuration file (TOML)");
  command
      ->add_option("--set", arguments->overrides, "Override a key: section.key=value (repeatable)")
      ->allow_extra_args(false)
      ->take_all();
  command->add_option("--out", arguments->out,
                      "Run directory, new or empty (default: runs/<name of CONFIG>)");
  command->add_option("--root", arguments->root, "Folder of the data (the key data.root)");
  command->add_flag("--resume", arguments->resume,
                    "Go on from the run directory's latest checkpoint");
  command->add_flag("--quiet", arguments->quiet, "Print nothing but errors");
  command->add_flag("--help-config", arguments->help_config,
                    "List every configuration key with its default and meaning");
  command->callback([arguments, &exit_code] { exit_code = train(*arguments); });
}

}  // namespace decorr::app
