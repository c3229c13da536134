#include "decorr/core/threads.h"
#include "decorr/linalg/precision.h"
#include "decorr/train/checkpoint_model.h"
#include "decorr/train/checkpoint_store.h"
#include "decorr/train/evaluate.h"
#include "decorr/train/run_directory.h"
#include "decorr/train/setup.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/decorr/commands.h"
#include <memory>
#include <string>

namespace decorr::app {
namespace {

struct EvalArguments {
  std::string run;
  std::string split = "test";
  std::string checkpoint = "last";
  std::string root;
  bool json = false;
};

constexpr const char* kEvalFooter = R"(Example:
  decorr eval runs/a
  decorr eval runs/a --split train --checkpoint best)";

std::int64_t step_of(const std::string& wanted, const train::CheckpointStore& store,
                     const std::string& run) {
  if (wanted == "last") {
    if (const auto latest = store.latest()) return *latest;
    throw BadInput(fmt::format("no checkpoint, {}, train it first", run));
  }
  if (wanted == "best") {
    if (const auto best = store.best()) return best->step;
    throw BadInput(fmt::format("no best checkpoint yet, {}, use --checkpoint last", run));
  }
  const auto steps = store.steps();
  for (const std::int64_t step : steps)
    if (std::to_string(step) == wanted) return step;
  throw BadInput(fmt::format("no checkpoint \"{}\", {}, use last, best or one of the steps {}",
                             wanted, run, fmt::join(steps, ", ")));
}

const data::Dataset& part(const train::Datasets& data, const std::string& split,
                          const std::string& run) {
  if (split == "train") return data.train;
  if (split == "test") return data.test;
  if (!data.validation)
    throw BadInput(fmt::format("the run held out no validation images, {}, use --split test", run));
  return *data.validation;
}

int evaluate(const EvalArguments& arguments) try {
  train::Config config = train::load_run_config(arguments.run);
  if (!arguments.root.empty()) config.data.root = arguments.root;
  set_threads(static_cast<int>(config.train.threads));
  const linalg::ProductPrecision precision(train::rounds_products(config));
  const train::CheckpointStore store(train::RunDirectory(arguments.run).checkpoints(), 1);
  const std::int64_t step = step_of(arguments.checkpoint, store, arguments.run);
  const train::Checkpoint checkpoint = store.load(step);
  const train::Datasets data = train::load_datasets(config);
  const auto model = train::make_model(config, data.train);
  train::load_model_tensors(*model, checkpoint.tensors,
                            fmt::format("{} (step {})", store.folder().string(), step));
  data::Loader loader(part(data, arguments.split, arguments.run),
                      train::evaluation_loader(config, data.normalization));
  const train::Score score = train::evaluate(*model, loader, learning::Loss(config.learning.loss));
  if (arguments.json) {
    nlohmann::ordered_json result = {
        {"run", arguments.run}, {"split", arguments.split}, {"step", step},
        {"loss", score.loss()}, {"acc", score.accuracy()},  {"correct", score.correct},
        {"count", score.count}};
    if (score.correct5) result["top5"] = score.top5();
    fmt::print("{}\n", result.dump());
  } else {
    fmt::print("{} at step {}: {} loss {:.6f}  accuracy {:.2f}% ({} of {}){}\n", arguments.run,
               step, arguments.split, score.loss(), 100 * score.accuracy(), score.correct,
               score.count,
               score.correct5 ? fmt::format("  top-5 {:.2f}%", 100 * score.top5()) : "");
  }
  return kSuccess;
} catch (const std::runtime_error& error) {
  throw BadInput(error.what());  // nothing is written here: what cannot be read is bad input
}

}  // namespace

void add_eval(CLI::App& program, int& exit_code) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* command = program.add_subcommand("eval", "Score a trained network.");
  command->footer(kEvalFooter);
  command->add_option("RUN", arguments->run, "Run directory")->required();
  command->add_option("--split", arguments->split, "Part of the data: test, train or validation")
      ->check(CLI::IsMember({"test", "train", "validation"}));
  command->add_option("--checkpoint", arguments->checkpoint, "last, best or a step");
  command->add_option("--root", arguments->root, "Folder of the data, if it has moved");
  command->add_flag("--json", arguments->json, "Print one line of JSON");
  command->callback([arguments, &exit_code] { exit_code = evaluate(*arguments); });
}

}  // namespace decorr::app
