#include "decorr/core/check.h"
#include "decorr/core/threads.h"
#include "decorr/linalg/gemm.h"
#include "decorr/linalg/precision.h"
#include "decorr/train/setup.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/decorr/bench_data.h"
#include "apps/decorr/bench_networks.h"
#include "apps/decorr/bench_peak.h"
#include "apps/decorr/bench_timing.h"
#include "apps/decorr/bench_training.h"
#include "apps/decorr/command_bench.h"
#include "apps/decorr/commands.h"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace decorr::app {
namespace {

using nlohmann::ordered_json;

struct Arguments : BenchArguments {
  std::string model = "all";
  std::vector<std::string> precisions{"float32"};
  int steps = 30;
};

constexpr int kWarmUp = 3;
constexpr std::int64_t kBatches = 4;  // different ones, used in turn

constexpr const char* kFooter = R"(Example:
  decorr bench step
  decorr bench step --model mlp --threads 1 --steps 100 --json

The networks are those of CRGD for CIFAR-10 (mlp: dense 3072, 4 x 1000, 10, batch 256; convnet:
convolutions 32-32-pool-64-64-pool, dense 1000-10, batch 128) on random smooth images. A step is
forward, backward, Adam and decorr::update(). A plain step (decorrelation method none) and a
decorrelated one (preset default) take turns in one process; the ratio is that of neighbours.

Operations of the plain step are counted from the shapes: 6Nnm for a layer, 4Nnm for the first, N
counting the places of a convolution. The decorrelated step makes these, and as many more as
linalg::FlopCounter counts in matrix products beyond those of the plain step. What is not a product
or a convolution counts as time, not as operations. In the JSON ..._gflop are the operations of a
step, ..._product_gflop what FlopCounter alone counts, ..._gflops operations a second. The peak is
the best of several float32 products of order 2048, whatever the precision of the step;
share_of_peak is the plain step's.)";

// The steps of one form of a network.
struct Samples {
  std::vector<double> total, passes, optimizer, update;
  double products = 0;  // operations of linalg's products in a step, on average

  void add(const bench::TimedStep& step) {
    total.push_back(step.seconds());
    passes.push_back(step.passes);
    optimizer.push_back(step.optimizer);
    update.push_back(step.update);
  }
};

// One network in one precision.
struct Comparison {
  std::string model, precision;
  std::int64_t batch;
  double flops;  // of the plain step
  Samples plain, decorrelated;
};

void run_step(bench::Training& training, const data::Batch& batch, bool counts, int steps,
              Samples& samples) {
  const linalg::FlopCounter products;
  const bench::TimedStep step = training.step(batch);
  check_runtime(std::isfinite(step.loss), "the loss of a timed step is {}", step.loss);
  check_runtime(step.skipped == 0, "{} layers skipped the update in a timed step", step.skipped);
  if (!counts) return;
  samples.add(step);
  samples.products += static_cast<double>(products.count()) / steps;
}

train::Config configuration(const std::string& model, const std::string& precision, int scale) {
  train::Config config = bench::network_config(model, scale);
  config.train.precision = precision;
  return config;
}

Comparison compare(const std::string& model, const std::string& precision,
                   const Arguments& arguments) {
  const train::Config config = configuration(model, precision, arguments.scale);
  const linalg::ProductPrecision products(train::rounds_products(config));
  const data::Dataset images = bench::random_images(kBatches * config.train.batch_size);
  const std::vector<data::Batch> batches = bench::training_batches(config, images);
  bench::Training plain(bench::plain(config), images), decorrelated(config, images);
  Comparison result{model,
                    precision,
                    config.train.batch_size,
                    bench::plain_flops(plain.model(), batches[0].input),
                    {},
                    {}};
  for (int i = -kWarmUp; i < arguments.steps; ++i) {
    const data::Batch& batch = batches[static_cast<std::size_t>(i + kWarmUp) % batches.size()];
    run_step(plain, batch, i >= 0, arguments.steps, result.plain);
    run_step(decorrelated, batch, i >= 0, arguments.steps, result.decorrelated);
  }
  return result;
}

ordered_json phases(const Samples& samples) {
  const auto ms = [](const std::vector<double>& values) {
    return bench::summarize(values).median * 1e3;
  };
  return {{"forward_backward_ms", ms(samples.passes)},
          {"optimizer_ms", ms(samples.optimizer)},
          {"update_ms", ms(samples.update)}};
}

ordered_json report(const Comparison& comparison, const Arguments& arguments, double peak) {
  const Samples& plain = comparison.plain;
  const Samples& decorrelated = comparison.decorrelated;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < plain.total.size(); ++i)
    ratios.push_back(decorrelated.total[i] / plain.total[i]);
  const bench::Summary ratio = bench::summarize(ratios);
  const bench::Summary plain_time = bench::summarize(plain.total);
  const bench::Summary decorrelated_time = bench::summarize(decorrelated.total);
  const double plain_flops = comparison.flops;
  const double decorrelated_flops = plain_flops + decorrelated.products - plain.products;
  const double plain_rate = plain_flops / plain_time.median;
  const double decorrelated_rate = decorrelated_flops / decorrelated_time.median;
  return {{"model", comparison.model},
          {"precision", comparison.precision},
          {"threads", threads()},
          {"batch", comparison.batch},
          {"steps", arguments.steps},
          {"scale", arguments.scale},
          {"plain_ms", plain_time.median * 1e3},
          {"plain_spread_ms", plain_time.spread * 1e3},
          {"decorrelated_ms", decorrelated_time.median * 1e3},
          {"decorrelated_spread_ms", decorrelated_time.spread * 1e3},
          {"ratio", ratio.median},
          {"ratio_spread", ratio.spread},
          {"phases", {{"plain", phases(plain)}, {"decorrelated", phases(decorrelated)}}},
          {"plain_gflop", plain_flops / 1e9},
          {"decorrelated_gflop", decorrelated_flops / 1e9},
          {"plain_product_gflop", plain.products / 1e9},
          {"decorrelated_product_gflop", decorrelated.products / 1e9},
          {"plain_gflops", plain_rate / 1e9},
          {"decorrelated_gflops", decorrelated_rate / 1e9},
          {"peak_gflops", peak / 1e9},
          {"share_of_peak", plain_rate / peak},
          {"decorrelated_share_of_peak", decorrelated_rate / peak}};
}

void print_table(const ordered_json& row) {
  const auto number = [&](const std::string& key) { return row.at(key).get<double>(); };
  const auto phase = [&](const std::string& form, const std::string& key) {
    return row.at("phases").at(form).at(key).get<double>();
  };
  fmt::print("{}, {}, batch {}, {} thread(s), {} steps each{}\n",
             row.at("model").get<std::string>(), row.at("precision").get<std::string>(),
             row.at("batch").get<int>(), row.at("threads").get<int>(), row.at("steps").get<int>(),
             row.at("scale") == 1 ? "" : ", scaled down");
  fmt::print("  {:<22}{:>20}{:>20}\n", "", "plain", "decorrelated");
  fmt::print(
      "  {:<22}{:>20}{:>20}\n", "step, ms",
      fmt::format("{:.2f} ± {:.2f}", number("plain_ms"), number("plain_spread_ms")),
      fmt::format("{:.2f} ± {:.2f}", number("decorrelated_ms"), number("decorrelated_spread_ms")));
  for (const auto& [name, key] : {std::pair{"  forward, backward", "forward_backward_ms"},
                                  {"  optimizer", "optimizer_ms"},
                                  {"  update", "update_ms"}})
    fmt::print("  {:<22}{:>20.2f}{:>20.2f}\n", name, phase("plain", key),
               phase("decorrelated", key));
  fmt::print("  {:<22}{:>20.3f}{:>20.3f}\n", "GFLOP in a step", number("plain_gflop"),
             number("decorrelated_gflop"));
  fmt::print("  {:<22}{:>20.1f}{:>20.1f}\n", "GFLOP/s", number("plain_gflops"),
             number("decorrelated_gflops"));
  fmt::print("  {:<22}{:>20.2f}{:>20.2f}\n", "share of peak", number("share_of_peak"),
             number("decorrelated_share_of_peak"));
  fmt::print("  decorrelated / plain: {:.3f} ± {:.3f}; peak {:.1f} GFLOP/s\n", number("ratio"),
             number("ratio_spread"), number("peak_gflops"));
}

int run(const Arguments& arguments) {
  set_threads(arguments.threads);
  // A precision that this processor does not have is an error before anything is timed.
  for (const std::string& precision : arguments.precisions)
    train::rounds_products(configuration("mlp", precision, arguments.scale));
  // Before and after: the machine may not be equally fast all the time.
  double peak = bench::peak_flops(arguments.scale);
  std::vector<Comparison> comparisons;
  for (const std::string& model : bench::networks())
    for (const std::string& precision : arguments.precisions)
      if (arguments.model == "all" || arguments.model == model)
        comparisons.push_back(compare(model, precision, arguments));
  peak = std::max(peak, bench::peak_flops(arguments.scale));
  ordered_json rows = ordered_json::array();
  for (const Comparison& comparison : comparisons)
    rows.push_back(report(comparison, arguments, peak));
  if (arguments.json) {
    fmt::print("{}\n", rows.dump());
  } else {
    for (const ordered_json& row : rows) print_table(row);
  }
  return kSuccess;
}

}  // namespace

void add_bench_step(CLI::App& bench, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      bench.add_subcommand("step", "Training steps of two networks, plain and decorrelated.");
  command->footer(kFooter);
  std::vector<std::string> models = bench::networks();
  models.emplace_back("all");
  command->add_option("--model", arguments->model, "Network (default all)")
      ->check(CLI::IsMember(models));
  command
      ->add_option("--precision", arguments->precisions,
                   "Number types, separated by commas (default float32)")
      ->delimiter(',')
      ->check(CLI::IsMember(bench::precisions()));
  command->add_option("--steps", arguments->steps, "Steps timed of each form (default 30)")
      ->check(CLI::Range(1, 1000000));
  add_bench_options(*command, *arguments);
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace decorr::app
