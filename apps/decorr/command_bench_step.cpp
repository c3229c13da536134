#include "decorr/core/check.h"
#include "decorr/core/threads.h"
#include "decorr/train/setup.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/decorr/bench_comparison.h"
#include "apps/decorr/bench_networks.h"
#include "apps/decorr/bench_peak.h"
#include "apps/decorr/bench_timing.h"
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

struct StepArguments : BenchArguments {
  std::string model = "all";
  std::vector<std::string> precisions{"float32"};
  int steps = 30;
};

constexpr const char* kStepFooter = R"(Example:
  decorr bench step
  decorr bench step --model mlp --threads 1 --steps 100 --json

The networks are those of CRGD for CIFAR-10 (mlp: dense 3072, 4 x 1000, 10, batch 256; convnet:
convolutions 32-32-pool-64-64-pool, dense 1000-10, batch 128; convolutions: those of convnet alone,
with a plain classifier) on random smooth images. A step is forward, backward, Adam and
decorr::update(). A plain step (decorrelation method none) and a decorrelated one (preset default)
take turns in one process; the ratio is that of neighbours. Where an update is not due in every
step, what is timed is the mean step from one update to the next.

Operations of the plain step are counted from the shapes: 6Nnm for a layer, 4Nnm for the first, N
counting the places of a convolution. The decorrelated step makes these, and as many more as
linalg::FlopCounter counts in matrix products beyond those of the plain step. What is not a product
or a convolution counts as time, not as operations. In the JSON ..._gflop are the operations of a
step, ..._product_gflop what FlopCounter alone counts, ..._gflops operations a second. The peak is
the best of several float32 products of order 2048, whatever the precision of the step;
share_of_peak is the plain step's. overhead_bound_ms is the least time that the products which
decorrelation adds can take in float32 (null for other number types): their operations at that peak,
or their bytes at the speed of copying memory, whichever is longer; overhead_over_bound is the time
that it does take, divided by that.

..._peak_bytes is the most memory of tensors that a network and its training need at one time,
decorrelation_bytes is what R and the input rows of every decorrelated layer take.)";

ordered_json phases(const bench::Samples& samples) {
  const auto ms = [](const std::vector<double>& values) {
    return bench::summarize(values).median * 1e3;
  };
  return {{"forward_backward_ms", ms(samples.passes)},
          {"optimizer_ms", ms(samples.optimizer)},
          {"update_ms", ms(samples.update)}};
}

ordered_json report_step(const bench::Comparison& comparison, const StepArguments& arguments,
                         double peak, double bandwidth) {
  const bench::Samples& plain = comparison.plain;
  const bench::Samples& decorrelated = comparison.decorrelated;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < plain.total.size(); ++i)
    ratios.push_back(decorrelated.total[i] / plain.total[i]);
  const bench::Summary ratio = bench::summarize(ratios);
  const bench::Summary plain_time = bench::summarize(plain.total);
  const bench::Summary decorrelated_time = bench::summarize(decorrelated.total);
  const double plain_flops = comparison.flops;
  const double decorrelated_flops = plain_flops + decorrelated.products - plain.products;
  const double overhead = decorrelated_time.median - plain_time.median;
  // The peak is that of float32 products.
  const bool has_bound = comparison.precision == "float32";
  const double bound = std::max((decorrelated.products - plain.products) / peak,
                                (decorrelated.bytes - plain.bytes) / bandwidth);
  const double plain_rate = plain_flops / plain_time.median;
  const double decorrelated_rate = decorrelated_flops / decorrelated_time.median;
  return {{"model", comparison.model},
          {"precision", comparison.precision},
          {"threads", threads()},
          {"batch", comparison.batch},
          {"steps", comparison.steps},
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
          {"decorrelated_share_of_peak", decorrelated_rate / peak},
          {"overhead_ms", overhead * 1e3},
          {"overhead_bound_ms", has_bound ? ordered_json(bound * 1e3) : ordered_json()},
          {"overhead_over_bound", has_bound ? ordered_json(overhead / bound) : ordered_json()},
          {"plain_peak_bytes", plain.memory},
          {"decorrelated_peak_bytes", decorrelated.memory},
          {"decorrelation_bytes", comparison.decorrelation_bytes}};
}

void print_steps(const ordered_json& row) {
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
  fmt::print("  {:<22}{:>20.1f}{:>20.1f}\n", "peak memory, MB", number("plain_peak_bytes") / 1e6,
             number("decorrelated_peak_bytes") / 1e6);
  fmt::print("  decorrelated / plain: {:.3f} ± {:.3f}; peak {:.1f} GFLOP/s\n", number("ratio"),
             number("ratio_spread"), number("peak_gflops"));
  const std::string bound =
      row.at("overhead_over_bound").is_null()
          ? std::string()
          : fmt::format(", {:.2f} times its bound", number("overhead_over_bound"));
  fmt::print("  overhead {:.2f} ms{}; R and rows {:.1f} MB\n", number("overhead_ms"), bound,
             number("decorrelation_bytes") / 1e6);
}

int run_step(const StepArguments& arguments) {
  set_threads(arguments.threads);
  // A precision that this processor does not have is an error before anything is timed.
  for (const std::string& precision : arguments.precisions) {
    const train::Config config = bench::configuration("mlp", precision, arguments.scale);
    train::rounds_products(config);
    config.decorrelation.options.validate();
  }
  // Before and after: the machine may not be equally fast all the time.
  double peak = bench::peak_flops(arguments.scale);
  std::vector<bench::Comparison> comparisons;
  for (const std::string& model : bench::networks())
    for (const std::string& precision : arguments.precisions)
      if (arguments.model == "all" || arguments.model == model)
        comparisons.push_back(bench::compare(model, precision, arguments.scale, arguments.steps));
  peak = std::max(peak, bench::peak_flops(arguments.scale));
  const double bandwidth = bench::memory_bandwidth(arguments.scale);
  ordered_json rows = ordered_json::array();
  for (const bench::Comparison& comparison : comparisons)
    rows.push_back(report_step(comparison, arguments, peak, bandwidth));
  if (arguments.json) {
    fmt::print("{}\n", rows.dump());
  } else {
    for (const ordered_json& row : rows) print_steps(row);
  }
  return kSuccess;
}

}  // namespace

void add_bench_step(CLI::App& bench, int& exit_code) {
  auto arguments = std::make_shared<StepArguments>();
  CLI::App* command =
      bench.add_subcommand("step", "Training steps of some networks, plain and decorrelated.");
  command->footer(kStepFooter);
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
  command->callback([arguments, &exit_code] { exit_code = run_step(*arguments); });
}

}  // namespace decorr::app
