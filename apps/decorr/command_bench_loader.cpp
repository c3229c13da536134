#include "decorr/core/check.h"
#include "decorr/core/threads.h"
#include "decorr/data/loader.h"
#include "decorr/data/transform.h"
#include "decorr/train/setup.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/decorr/bench_data.h"
#include "apps/decorr/bench_networks.h"
#include "apps/decorr/bench_timing.h"
#include "apps/decorr/bench_training.h"
#include "apps/decorr/command_bench.h"
#include "apps/decorr/commands.h"
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace decorr::app {
namespace {

struct LoaderArguments : BenchArguments {
  std::int64_t images = 50000;
  int rounds = 5;
};

constexpr int kSteps = 4;  // training steps in a round

constexpr const char* kLoaderFooter = R"(Example:
  decorr bench loader
  decorr bench loader --rounds 10 --json

The loader crops (padding 4), mirrors and normalises uint8 images 3 x 32 x 32 from memory, on its
one thread and for a loop that does nothing with them. A training step is the decorrelated one of
the mlp of decorr bench step (batch 256) on batches that are there already. Rounds of an epoch and
4 steps take turns. The ratio tells how many times as fast as the step the loader is; below 1
training waits for it. While a network trains, the loader's thread takes 1/ratio of a core.)";

// Images a second in one epoch.
double load_epoch(data::Loader& loader, std::int64_t epoch) {
  std::int64_t images = 0;
  const double time = bench::seconds([&] {
    loader.start(epoch);
    for (data::Batch batch; loader.next(batch);) images += batch.input.size(0);
  });
  return static_cast<double>(images) / time;
}

nlohmann::ordered_json measure(const LoaderArguments& arguments) {
  train::Config config = bench::network_config("mlp", arguments.scale);
  config.data.crop_padding = 4;
  config.data.flip = true;
  const data::Dataset images = bench::random_images(arguments.images);
  data::Loader loader(images, train::training_loader(config, data::measure(images)));
  const std::vector<data::Batch> batches =
      bench::training_batches(config, bench::random_images(kSteps * config.train.batch_size));
  bench::Training training(config, images);

  std::vector<double> loaded, trained;
  for (int round = -1; round < arguments.rounds; ++round) {  // the first one warms up
    const double rate = load_epoch(loader, round + 1);
    if (round >= 0) loaded.push_back(rate);
    for (const data::Batch& batch : batches) {
      const double time = training.step(batch).seconds();
      if (round >= 0) trained.push_back(static_cast<double>(batch.input.size(0)) / time);
    }
  }
  const bench::Summary loading = bench::summarize(loaded), needed = bench::summarize(trained);
  return {{"precision", config.train.precision},
          {"threads", threads()},
          {"batch", config.train.batch_size},
          {"images", arguments.images},
          {"rounds", arguments.rounds},
          {"scale", arguments.scale},
          {"loader_images_per_s", loading.median},
          {"loader_spread", loading.spread},
          {"step_images_per_s", needed.median},
          {"step_spread", needed.spread},
          {"ratio", loading.median / needed.median}};
}

int run_loader(const LoaderArguments& arguments) {
  set_threads(arguments.threads);
  const nlohmann::ordered_json result = measure(arguments);
  if (arguments.json) {
    fmt::print("{}\n", result.dump());
    return kSuccess;
  }
  const auto number = [&](const char* key) { return result.at(key).get<double>(); };
  fmt::print("{} images, batch {}, {} thread(s), {} rounds; images a second:\n", arguments.images,
             result.at("batch").get<int>(), result.at("threads").get<int>(), arguments.rounds);
  fmt::print("  {:<34}{:>10.0f} ± {:.0f}\n", "the loader gives", number("loader_images_per_s"),
             number("loader_spread"));
  fmt::print("  {:<34}{:>10.0f} ± {:.0f}\n", "a decorrelated step of the mlp takes",
             number("step_images_per_s"), number("step_spread"));
  fmt::print("  {:<34}{:>10.1f}\n", "ratio", number("ratio"));
  return kSuccess;
}

}  // namespace

void add_bench_loader(CLI::App& bench, int& exit_code) {
  auto arguments = std::make_shared<LoaderArguments>();
  CLI::App* command = bench.add_subcommand(
      "loader", "Images a second that the loader makes, and that a training step takes.");
  command->footer(kLoaderFooter);
  command->add_option("--images", arguments->images, "Images in the data set (default 50000)")
      ->check(CLI::Range(1, 10000000));
  command->add_option("--rounds", arguments->rounds, "Epochs that are timed (default 5)")
      ->check(CLI::Range(1, 1000000));
  add_bench_options(*command, *arguments);
  command->callback([arguments, &exit_code] { exit_code = run_loader(*arguments); });
}

}  // namespace decorr::app
