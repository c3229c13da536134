#include "decorr/core/threads.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/decorr/bench_kernels.h"
#include "apps/decorr/bench_peak.h"
#include "apps/decorr/bench_timing.h"
#include "apps/decorr/command_bench.h"
#include "apps/decorr/commands.h"
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace decorr::app {
namespace {

using nlohmann::ordered_json;

struct KernelsArguments : BenchArguments {
  int repetitions = 20;
};

constexpr int kWarmUp = 2;

constexpr const char* kKernelsFooter = R"(Example:
  decorr bench kernels
  decorr bench kernels --threads 1 --json

The matrix products of a step of the mlp of decorr bench step, in float32, the pass of Adam over all
its parameters, and a copy of memory. Each product is compared with ATen's before it is timed. The
kernels take turns, as they do in a step: their operands are not in the caches from the time before.

GB/s counts operands read and results written, each once. The share is the time that the kernel
would take at the measured peak over the time that it takes. The peak is that of a large square
product for what is bound by compute, and the fastest of copying memory and changing it in place
for what is bound by memory; the one that makes the kernel slower binds it. A kernel bound by memory
can be above 1 if its operands stay in a cache.)";

ordered_json report_kernel(const bench::Kernel& kernel, const std::vector<double>& samples,
                           double peak, double bandwidth) {
  const bench::Summary time = bench::summarize(samples);
  const double compute = kernel.flops / peak, memory = kernel.bytes / bandwidth;
  ordered_json row = {{"kernel", kernel.name},
                      {"shape", kernel.shape},
                      {"ms", time.median * 1e3},
                      {"spread_ms", time.spread * 1e3},
                      {"gflops", nullptr},
                      {"gb_per_s", kernel.bytes / time.median / 1e9},
                      {"bound", compute > memory ? "compute" : "memory"},
                      {"share_of_peak", std::max(compute, memory) / time.median}};
  if (kernel.flops > 0) row["gflops"] = kernel.flops / time.median / 1e9;
  return row;
}

void print_kernels(const ordered_json& result) {
  fmt::print("float32, {} thread(s), {} repetitions; peak {:.1f} GFLOP/s, {:.1f} GB/s\n",
             result.at("threads").get<int>(), result.at("repetitions").get<int>(),
             result.at("peak_gflops").get<double>(), result.at("peak_gb_per_s").get<double>());
  constexpr const char* kLine = "  {:<20}{:<28}{:>18}{:>9}{:>8}  {:<8}{:>6}\n";
  fmt::print(kLine, "kernel", "shape", "ms", "GFLOP/s", "GB/s", "bound", "share");
  for (const ordered_json& row : result.at("kernels"))
    fmt::print(
        kLine, row.at("kernel").get<std::string>(), row.at("shape").get<std::string>(),
        fmt::format("{:.3f} ± {:.3f}", row.at("ms").get<double>(),
                    row.at("spread_ms").get<double>()),
        row.at("gflops").is_null() ? "-" : fmt::format("{:.1f}", row.at("gflops").get<double>()),
        fmt::format("{:.1f}", row.at("gb_per_s").get<double>()), row.at("bound").get<std::string>(),
        fmt::format("{:.2f}", row.at("share_of_peak").get<double>()));
}

int run_kernels(const KernelsArguments& arguments) {
  set_threads(arguments.threads);
  double peak = bench::peak_flops(arguments.scale);
  double bandwidth = bench::memory_bandwidth(arguments.scale);
  const std::vector<bench::Kernel> kernels = bench::step_kernels(arguments.scale);
  for (const bench::Kernel& kernel : kernels) bench::check(kernel);
  std::vector<std::vector<double>> samples(kernels.size());
  for (int i = -kWarmUp; i < arguments.repetitions; ++i)
    for (std::size_t k = 0; k < kernels.size(); ++k) {
      const double time = bench::seconds(kernels[k].run);
      if (i >= 0) samples[k].push_back(time);
    }
  // Before and after: the machine may not be equally fast all the time.
  peak = std::max(peak, bench::peak_flops(arguments.scale));
  bandwidth = std::max(bandwidth, bench::memory_bandwidth(arguments.scale));

  ordered_json rows = ordered_json::array();
  for (std::size_t k = 0; k < kernels.size(); ++k)
    rows.push_back(report_kernel(kernels[k], samples[k], peak, bandwidth));
  const ordered_json result = {{"precision", "float32"},
                               {"threads", threads()},
                               {"repetitions", arguments.repetitions},
                               {"scale", arguments.scale},
                               {"peak_gflops", peak / 1e9},
                               {"peak_gb_per_s", bandwidth / 1e9},
                               {"kernels", rows}};
  if (arguments.json) {
    fmt::print("{}\n", result.dump());
  } else {
    print_kernels(result);
  }
  return kSuccess;
}

}  // namespace

void add_bench_kernels(CLI::App& bench, int& exit_code) {
  auto arguments = std::make_shared<KernelsArguments>();
  CLI::App* command = bench.add_subcommand(
      "kernels", "Matrix products of a step, Adam and a copy, against what the machine can do.");
  command->footer(kKernelsFooter);
  command->add_option("--repetitions", arguments->repetitions, "Times each is timed (default 20)")
      ->check(CLI::Range(1, 1000000));
  add_bench_options(*command, *arguments);
  command->callback([arguments, &exit_code] { exit_code = run_kernels(*arguments); });
}

}  // namespace decorr::app
