#include "decorr/data/registry.h"
#include "decorr/data/transform.h"

#include <ATen/ATen.h>
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/decorr/commands.h"
#include <memory>
#include <stdexcept>
#include <string>

namespace decorr::app {
namespace {

struct Arguments {
  std::string name;
  std::string root;
};

int list() {
  for (const data::DatasetInfo& info : data::known_datasets()) {
    std::string place;
    try {
      place = data::find(info.name);
    } catch (const std::runtime_error&) {
      place = "not found: " + info.how_to_get;
    }
    fmt::print("{:<16} {}\n{:<16} {}\n", info.name, info.description, "", place);
  }
  return kSuccess;
}

void describe(const std::string& split, const data::Dataset& dataset) {
  const at::Tensor& images = dataset.images;
  fmt::print("{}: {} images of {} x {} pixels, {} channel{}\n", split, dataset.size(),
             images.size(2), images.size(3), images.size(1), images.size(1) == 1 ? "" : "s");
  const data::Normalization statistics = data::measure(dataset);
  fmt::print("  channel mean {:.4f}, std {:.4f} (pixel / 255)\n", fmt::join(statistics.mean, " "),
             fmt::join(statistics.std, " "));
  const at::Tensor counts =
      at::bincount(dataset.labels, {}, static_cast<std::int64_t>(dataset.classes.size()));
  for (std::size_t i = 0; i < dataset.classes.size(); ++i)
    fmt::print("  {:<16} {:>7}\n", dataset.classes[i],
               counts[static_cast<std::int64_t>(i)].item<std::int64_t>());
}

int info(const Arguments& arguments) {
  try {
    const std::string place = data::find(arguments.name, arguments.root);
    const data::Dataset train = data::load(arguments.name, "train", arguments.root);
    const data::Dataset test = data::load(arguments.name, "test", arguments.root);
    fmt::print("{} in {}\n", arguments.name, place);
    describe("train", train);
    describe("test", test);
  } catch (const std::runtime_error& error) {
    throw BadInput(error.what());
  }
  return kSuccess;
}

}  // namespace

void add_data(CLI::App& program, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      program.add_subcommand("data", "Data sets: list them, look at one, or fetch one.");
  command->footer(
      "Example:\n  decorr data list\n  decorr data fetch cifar10\n  decorr data info cifar10");
  command->require_subcommand(1);
  CLI::App* listing =
      command->add_subcommand("list", "List the known data sets and where they are.");
  listing->footer("Example:\n  decorr data list");
  listing->callback([&exit_code] { exit_code = list(); });
  CLI::App* details =
      command->add_subcommand("info", "Counts, class balance and channel statistics of one.");
  details->footer("Example:\n  decorr data info fashion-mnist --root /data/fashion");
  details->add_option("NAME", arguments->name, "Data set, as decorr data list names it")
      ->required();
  details->add_option("--root", arguments->root, "Folder of its files");
  details->callback([arguments, &exit_code] { exit_code = info(*arguments); });
  add_data_fetch(*command, exit_code);
}

}  // namespace decorr::app
