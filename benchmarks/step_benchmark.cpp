// Time of training steps, and how far they decorrelate, on the first images of CIFAR-10 in their
// order: one line of JSON for scripts to read (compare_reference.py and compare_pytorch.py do).
//   decorr_step_benchmark --model convnet --method norm-preserving --steps 20
#include "decorr/analysis/correlation.h"
#include "decorr/core/threads.h"
#include "decorr/data/registry.h"
#include "decorr/data/transform.h"
#include "decorr/linalg/precision.h"
#include "decorr/train/setup.h"

#include <ATen/ATen.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/decorr/bench_networks.h"
#include "apps/decorr/bench_training.h"
#include "apps/decorr/process_settings.h"
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

using decorr::whitening::DecorrelatorOptions;

struct Settings {
  std::string model = "mlp", preset = "default", method = "norm-preserving", root;
  std::string precision = "float32";
  std::int64_t batch = 256;
  int steps = 20, warmup = 3, threads = 2;
  double lr = 1e-4, eta = 0;
  std::int64_t update_every = 0;
  std::vector<int> measure_at;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app("Times training steps on CIFAR-10 and measures the correlation that they leave");
  app.add_option("--model", settings.model, "mlp (3072, 4 x 1000, 10) or convnet")
      ->check(CLI::IsMember(decorr::bench::networks()));
  app.add_option("--preset", settings.preset, "preset of the decorrelation");
  app.add_option("--method", settings.method, "method of decorrelation");
  app.add_option("--precision", settings.precision, "number type")
      ->check(CLI::IsMember(decorr::bench::precisions()));
  app.add_option("--eta", settings.eta, "decorrelation learning rate; 0: the preset's");
  app.add_option("--update-every", settings.update_every,
                 "steps between updates of R; 0: the preset's");
  app.add_option("--lr", settings.lr, "learning rate of Adam");
  app.add_option("--batch", settings.batch, "images in a batch");
  app.add_option(
      "--steps", settings.steps,
      "steps that are timed, rounded up to whole cycles from one update of R to the next");
  app.add_option("--warmup", settings.warmup, "steps before those");
  app.add_option("--threads", settings.threads, "threads");
  app.add_option("--root", settings.root, "folder of the dataset");
  app.add_option("--measure-at", settings.measure_at,
                 "numbers of steps after which the off-diagonal energy is measured")
      ->delimiter(',');
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return settings;
}

decorr::train::Config configuration(const Settings& settings) {
  decorr::train::Config config = decorr::bench::network_config(settings.model);
  DecorrelatorOptions options = DecorrelatorOptions::preset(settings.preset);
  options.method = settings.method;
  if (settings.eta > 0) options.lr = settings.eta;
  if (settings.update_every > 0) options.update_every = settings.update_every;
  config.decorrelation.options = options;
  config.optimizer.lr = settings.lr;
  decorr::bench::set_precision(config, settings.precision);
  return config;
}

// Images `first` … `first + count - 1` of `dataset`, normalised per channel, and their labels.
decorr::data::Batch batch(const decorr::data::Dataset& dataset,
                          const decorr::data::Normalization& normalization, std::int64_t first,
                          std::int64_t count, at::ScalarType type) {
  const at::Tensor pixels = dataset.images.narrow(0, first, count).to(at::kFloat) / 255;
  const at::Tensor mean = at::tensor(normalization.mean, at::kFloat).view({1, -1, 1, 1});
  const at::Tensor std = at::tensor(normalization.std, at::kFloat).view({1, -1, 1, 1});
  return {((pixels - mean) / std).to(type), dataset.labels.narrow(0, first, count), first / count};
}

nlohmann::json run(const Settings& settings) {
  decorr::set_threads(settings.threads);
  const decorr::data::Dataset dataset = decorr::data::load("cifar10", "train", settings.root);
  const decorr::data::Dataset test = decorr::data::load("cifar10", "test", settings.root);
  const decorr::data::Normalization normalization = decorr::data::measure(dataset);
  const decorr::train::Config config = configuration(settings);
  const decorr::linalg::ProductPrecision products(decorr::train::rounds_products(config));
  decorr::bench::Training training(config, dataset);
  const at::ScalarType type = training.model().parameters()[0].scalar_type();
  const at::Tensor probe = batch(test, normalization, 0, 1000, type).input;

  nlohmann::json seconds = nlohmann::json::array(), energies = nlohmann::json::object();
  const auto measure = [&](int steps) {
    if (std::find(settings.measure_at.begin(), settings.measure_at.end(), steps) ==
        settings.measure_at.end())
      return;
    nlohmann::json& row = energies[std::to_string(steps)] = nlohmann::json::array();
    for (const auto& layer : decorr::analysis::measure_correlation(
             training.model(), probe,
             [&](const at::Tensor& x) { return training.model().forward(x); }))
      row.push_back(layer.energy);
  };
  measure(0);
  double loss = 0;
  const auto cycle = static_cast<int>(config.decorrelation.options.update_every);
  const int timed_steps = (settings.steps + cycle - 1) / cycle * cycle;
  for (int step = 0; step < settings.warmup + timed_steps; ++step) {
    const std::int64_t batches = dataset.images.size(0) / settings.batch;
    const decorr::bench::TimedStep timed = training.step(
        batch(dataset, normalization, step % batches * settings.batch, settings.batch, type));
    loss = timed.loss;
    if (step >= settings.warmup) seconds.push_back(timed.seconds());
    measure(step + 1);
  }
  return {{"seconds", seconds}, {"energy", energies}, {"loss", loss}};
}

}  // namespace

int main(int argc, char** argv) {
  decorr::app::restart_with_settings(argv);
  const Settings settings = parse(argc, argv);
  try {
    std::cout << run(settings).dump() << "\n";
  } catch (const std::exception& error) {
    std::fprintf(stderr, "step_benchmark: error: %s\n", error.what());
    return 1;
  }
  return 0;
}
