// What every method costs and reaches, as a table for docs/methods.md:
//   decorr_methods_table [--repetitions N] [--write docs/methods.md]
// The layers are a dense one behind Fashion-MNIST's 784 pixels and a convolution of 32 channels.
// Everything but the times is the same on every run.
#include "decorr/analysis/correlation.h"
#include "decorr/core/check.h"
#include "decorr/core/random.h"
#include "decorr/core/threads.h"
#include "decorr/data/registry.h"
#include "decorr/data/transform.h"
#include "decorr/linalg/block_diagonal.h"
#include "decorr/linalg/gemm.h"
#include "decorr/nn/conv.h"
#include "decorr/nn/linear.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/types.h>

#include "apps/decorr/bench_timing.h"
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace {

using decorr::bench::seconds;
using decorr::bench::summarize;
using decorr::whitening::DecorrelatorImpl;
using decorr::whitening::DecorrelatorOptions;

constexpr std::int64_t kUpdates = 1000;
constexpr const char* kBegin = "<!-- methods table: begin -->\n";
constexpr const char* kEnd = "<!-- methods table: end -->\n";

// A layer, batches for it, and the covariance of the rows that its R sees.
struct Subject {
  std::string name;
  std::function<std::shared_ptr<torch::nn::Module>(const DecorrelatorOptions&)> make;
  std::function<at::Tensor(torch::nn::Module&, const at::Tensor&)> forward;
  std::function<at::Tensor(std::int64_t step)> batch;
  at::Tensor covariance;  // float64 [n, n]
};

// Indices of the random batch of one step.
at::Tensor draw(std::int64_t step, std::int64_t count, std::int64_t population) {
  const decorr::RandomStream random =
      decorr::RandomStream(1, "batches").at(static_cast<std::uint64_t>(step));
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < count; ++i)
    indices.push_back(static_cast<std::int64_t>(
        random.below(static_cast<std::uint64_t>(population), static_cast<std::uint64_t>(i))));
  return at::tensor(indices, at::kLong);
}

at::Tensor covariance_of(const at::Tensor& rows) {
  const at::Tensor centred = rows.to(at::kDouble) - rows.to(at::kDouble).mean(0);
  return at::matmul(centred.t(), centred) / static_cast<double>(rows.size(0));
}

// Fashion-MNIST's training images, float32 [60000, 1, 28, 28], normalised.
at::Tensor load_images() {
  const decorr::data::Dataset dataset = decorr::data::load("fashion-mnist", "train");
  const decorr::data::Normalization normalization = decorr::data::measure(dataset);
  return (dataset.images.to(at::kFloat) / 255 - normalization.mean.at(0)) / normalization.std.at(0);
}

// 784 → 256 with batches of 256 images.
Subject dense(const at::Tensor& images) {
  const at::Tensor rows = images.flatten(1);
  at::Tensor second = at::zeros({784, 784}, at::kDouble);
  for (const at::Tensor& chunk : rows.split(6000)) second += covariance_of(chunk) * 0.1;
  // The covariance of the chunks' means is all that is missing.
  std::vector<at::Tensor> means;
  for (const at::Tensor& chunk : rows.split(6000)) means.push_back(chunk.to(at::kDouble).mean(0));
  return {
      "dense 784 → 256",
      [](const DecorrelatorOptions& options) {
        return decorr::nn::Linear(decorr::nn::LinearOptions(784, 256).decorrelation(options)).ptr();
      },
      [](torch::nn::Module& layer, const at::Tensor& x) {
        return dynamic_cast<decorr::nn::LinearImpl&>(layer).forward(x);
      },
      [rows](std::int64_t step) { return rows.index_select(0, draw(step, 256, rows.size(0))); },
      second + covariance_of(at::stack(means))};
}

// 32 → 32 channels under 3 × 3 on 16 × 16, n = 288, with batches of 64. The channels are what 32
// fixed random 5 × 5 filters with a rectifier answer to the framed images, at stride 2.
Subject convolution(const at::Tensor& images, bool channels_only) {
  const at::Tensor filters =
      decorr::RandomStream(1, "filters").normal({32, 1, 5, 5}, at::kFloat) / 5;
  const auto features = [images, filters](const at::Tensor& indices) {
    return at::relu(at::conv2d(at::constant_pad_nd(images.index_select(0, indices), {4, 3, 4, 3}),
                               filters, {}, 2));
  };
  const at::Tensor maps = features(at::arange(4096, at::kLong));
  at::Tensor second, sum;
  double count = 0;
  for (const at::Tensor& chunk : maps.split(256)) {
    at::Tensor rows = channels_only ? chunk.permute({0, 2, 3, 1}).reshape({-1, 32})
                                    : at::im2col(chunk, {3, 3}, {1, 1}, {1, 1}, {1, 1})
                                          .permute({0, 2, 1})
                                          .reshape({-1, 288});
    rows = rows.to(at::kDouble);
    second = second.defined() ? second + at::matmul(rows.t(), rows) : at::matmul(rows.t(), rows);
    sum = sum.defined() ? sum + rows.sum(0) : rows.sum(0);
    count += static_cast<double>(rows.size(0));
  }
  // The layer's mean is one number a channel, whatever the place in the kernel.
  const std::int64_t area = channels_only ? 1 : 9;
  const at::Tensor mean = (maps.to(at::kDouble).mean({0, 2, 3})).repeat_interleave(area);
  const at::Tensor cross = at::outer(sum / count, mean);
  const at::Tensor covariance = second / count - cross - cross.t() + at::outer(mean, mean);
  return {"convolution 32 → 32, 3 × 3 on 16 × 16",
          [](const DecorrelatorOptions& options) {
            decorr::nn::Conv2dOptions conv(torch::nn::Conv2dOptions(32, 32, 3).padding(1));
            return decorr::nn::Conv2d(conv.decorrelation(options)).ptr();
          },
          [](torch::nn::Module& layer, const at::Tensor& x) {
            return dynamic_cast<decorr::nn::Conv2dImpl&>(layer).forward(x);
          },
          [features](std::int64_t step) { return features(draw(step, 64, 60000)); }, covariance};
}

// Relative off-diagonal energy of R(Σ + λv̄I)Rᵀ within the blocks of R.
double reached_energy(const DecorrelatorImpl& decorrelator, const at::Tensor& covariance,
                      double damping) {
  const at::Tensor identity = at::eye(covariance.size(0), covariance.options());
  const at::Tensor target = covariance + damping * covariance.diagonal().mean() * identity;
  const at::Tensor r = decorr::linalg::dense(decorrelator.group_matrix(0)).to(at::kDouble);
  at::Tensor c = at::matmul(at::matmul(r, target), r.t());
  if (r.dim() == 2 && decorrelator.matrix().dim() == 2) {
    const std::int64_t block = decorrelator.matrix().size(1);
    const at::Tensor index = at::arange(c.size(0), at::kLong).div(block, /*rounding_mode=*/"floor");
    c = c * (index.unsqueeze(0) == index.unsqueeze(1));
  }
  return decorr::analysis::off_diagonal_energy(c);
}

std::string shown(double value) {
  return value < 0.1 ? fmt::format("{:.2g}", value) : fmt::format("{:.2f}", value);
}

// One line of the table: trains R, then times updates beside the passes of the plain layer.
std::string measure(const Subject& subject, const std::string& method, const std::string& structure,
                    int repetitions) {
  DecorrelatorOptions options;
  options.method = method;
  options.structure = structure;
  options.update_every = 1;  // every step is one that is measured
  const std::shared_ptr<torch::nn::Module> layer = subject.make(options);
  DecorrelatorImpl& decorrelator =
      *decorr::nn::decorrelated_layers(*layer)[0].layer->decorrelator();
  const auto observe = [&](const at::Tensor& x) {
    const at::NoGradGuard no_grad;
    subject.forward(*layer, x);
  };
  // `refreshing` picks updates that refresh R, or those in between.
  const auto is_refresh = [&] {
    return decorrelator.refreshes() && (decorrelator.applied() + 1) % options.refresh_every == 0;
  };
  const auto update = [&] {
    for (const auto& item : decorr::update(*layer))
      decorr::check_runtime(
          item.report.outcome == decorr::whitening::UpdateReport::Outcome::kApplied,
          "{} was skipped: {}", method, item.report.reason);
  };
  const double before = reached_energy(decorrelator, subject.covariance, options.damping);
  for (std::int64_t i = 0; i < kUpdates; ++i) {
    observe(subject.batch(i));
    update();
  }
  const double after = reached_energy(decorrelator, subject.covariance, options.damping);

  DecorrelatorOptions none;
  none.method = "none";
  const std::shared_ptr<torch::nn::Module> plain = subject.make(none);
  const at::Tensor x = subject.batch(kUpdates).requires_grad_(true);
  const at::Tensor error = at::ones_like(subject.forward(*plain, x));
  const auto passes = [&] { subject.forward(*plain, x).backward(error); };
  std::vector<double> common, refreshes;
  std::uint64_t common_flops = 0, refresh_flops = 0;
  const int wanted =
      decorrelator.refreshes() ? static_cast<int>(options.refresh_every) * 3 : repetitions;
  for (int i = -3; i < wanted; ++i) {  // the first three warm up
    observe(x);
    const bool refresh = is_refresh();
    const double base = seconds(passes);
    const decorr::linalg::FlopCounter flops;
    const double ratio = seconds(update) / base;
    (refresh ? refresh_flops : common_flops) = flops.count();
    if (i >= 0) (refresh ? refreshes : common).push_back(ratio);
  }
  const decorr::bench::Summary cost = summarize(common);
  std::string refreshing = "–", refreshing_flops = "–";
  if (!refreshes.empty()) {
    refreshing = shown(summarize(refreshes).median);
    refreshing_flops = fmt::format("{:.0f}", static_cast<double>(refresh_flops) / 1e6);
  }
  return fmt::format("| `{}` | {} | {} ± {} | {} | {:.0f} | {} | {:.3g} → {:.2g} |\n", method,
                     structure, shown(cost.median), shown(cost.spread), refreshing,
                     static_cast<double>(common_flops) / 1e6, refreshing_flops, before, after);
}

std::string make_table(int repetitions) {
  const at::Tensor images = load_images();
  const std::vector<std::string> methods{
      "norm-preserving", "copi",       "dbp", "relative-gradient",
      "lateral",         "zca",        "pca", "cholesky",
      "newton-schulz",   "standardize"};
  std::string table;
  const auto add = [&](const Subject& subject, const std::vector<std::string>& structures,
                       bool with_heading) {
    if (with_heading)
      table += fmt::format(
          "\n**{}**\n\n| method | structure | time of an update | of a refresh | MFLOP of an "
          "update | of a refresh | energy, start → {} updates |\n|---|---|---|---|---|---|---|\n",
          subject.name, kUpdates);
    for (const std::string& structure : structures)
      for (const std::string& method : methods) {
        if (method == "standardize" && structure == "block(64)") continue;
        table += measure(subject, method, structure, repetitions);
        std::fputs(fmt::format("{} {} {}\n", subject.name, structure, method).c_str(), stderr);
      }
  };
  add(dense(images), {"full", "block(64)"}, true);
  add(convolution(images, false), {"full", "block(64)"}, true);
  add(convolution(images, true), {"channel"}, false);
  return table + "\n";
}

// Puts `table` between the markers of the page.
void write(const std::string& path, const std::string& table) {
  std::ifstream in(path);
  std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::size_t begin = page.find(kBegin), end = page.find(kEnd);
  decorr::check_runtime(begin != std::string::npos && end != std::string::npos && begin < end,
                        "{} has no markers of the methods table", path);
  const std::size_t from = begin + std::string(kBegin).size();
  page.replace(from, end - from, table);
  std::ofstream out(path);
  out << page;
  out.close();
  decorr::check_runtime(out.good(), "cannot write {}", path);
}

}  // namespace

int main(int argc, char** argv) {
  int repetitions = 100;
  std::string path;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--repetitions" && std::atoi(value.c_str()) > 0) {
      repetitions = std::atoi(value.c_str());
    } else if (flag == "--write" && !value.empty()) {
      path = value;
    } else {
      std::fputs("usage: decorr_methods_table [--repetitions N] [--write PAGE.md]\n", stderr);
      return 2;
    }
  }
  try {
    decorr::set_threads(0);
    const std::string table = make_table(repetitions);
    std::fputs(table.c_str(), stdout);
    if (!path.empty()) write(path, table);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("decorr_methods_table: error: {}\n", error.what()).c_str(), stderr);
    return 1;
  }
  return 0;
}
