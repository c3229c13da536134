#include "apps/decorr/data_description.h"

#include "decorr/data/transform.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace decorr::app {
namespace {

constexpr std::size_t kMostListed = 20;
constexpr std::size_t kAtEitherEnd = 5;

using Counts = std::vector<std::pair<std::int64_t, std::string>>;  // images, class

// In the order of the classes.
Counts count_classes(const data::Dataset& dataset) {
  const at::Tensor counts =
      at::bincount(dataset.labels, {}, static_cast<std::int64_t>(dataset.classes.size()));
  Counts result;
  for (const std::string& name : dataset.classes)
    result.emplace_back(counts[static_cast<std::int64_t>(result.size())].item<std::int64_t>(),
                        name);
  return result;
}

void print_classes(const Counts& counts) {
  std::size_t width = 16;
  for (const auto& [count, name] : counts) width = std::max(width, name.size());
  for (const auto& [count, name] : counts) fmt::print("  {:<{}} {:>7}\n", name, width, count);
}

}  // namespace

void describe(const std::string& split, const data::Dataset& dataset) {
  const at::Tensor& images = dataset.images;
  fmt::print("{}: {} images of {} x {} pixels, {} channel{}, {} classes\n", split, dataset.size(),
             images.size(2), images.size(3), images.size(1), images.size(1) == 1 ? "" : "s",
             dataset.classes.size());
  const data::Normalization statistics = data::measure(dataset);
  fmt::print("  channel mean {:.4f}, std {:.4f} (pixel / 255)\n", fmt::join(statistics.mean, " "),
             fmt::join(statistics.std, " "));
  Counts counts = count_classes(dataset);
  if (counts.size() <= kMostListed) return print_classes(counts);
  // Classes of equal size stay in their order.
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  fmt::print("  images of a class: fewest {}, median {}, most {}\n", counts.front().first,
             counts[counts.size() / 2].first, counts.back().first);
  print_classes({counts.begin(), counts.begin() + kAtEitherEnd});
  fmt::print("  …\n");
  print_classes({counts.end() - kAtEitherEnd, counts.end()});
}

}  // namespace decorr::app
