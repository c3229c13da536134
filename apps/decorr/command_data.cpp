#include "decorr/data/contact_sheet.h"
#include "decorr/data/image_file.h"
#include "decorr/data/registry.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/decorr/commands.h"
#include "apps/decorr/data_description.h"
#include <memory>
#include <stdexcept>
#include <string>

namespace decorr::app {
namespace {

struct DataArguments {
  std::string name;
  data::LoadOptions options;
  std::string sheet;
};

// Where a dataset is, or how to get it.
std::string place_of(const data::DatasetInfo& info) {
  if (info.origin != data::Origin::kPublished) return info.how_to_get;
  try {
    return data::find(info.name);
  } catch (const std::runtime_error&) {
    return "not found: " + info.how_to_get;
  }
}

int list() {
  for (const data::DatasetInfo& info : data::known_datasets()) {
    fmt::print("{:<16} {}\n{:<16} {}\n", info.name, info.description, "", place_of(info));
  }
  return kSuccess;
}

// The training part of what arguments name, once both parts are described.
data::Dataset describe_parts(const DataArguments& arguments) {
  try {
    const std::string place = data::find(arguments.name, arguments.options.root);
    const data::Dataset train = data::load(arguments.name, "train", arguments.options);
    const data::Dataset test = data::load(arguments.name, "test", arguments.options);
    fmt::print("{}\n", place.empty() ? fmt::format("{}, made from seed {}", arguments.name,
                                                   arguments.options.gaussian.seed)
                                     : fmt::format("{} in {}", arguments.name, place));
    describe("train", train);
    describe("test", test);
    return train;
  } catch (const std::runtime_error& error) {
    throw BadInput(error.what());
  }
}

int data_info(const DataArguments& arguments) {
  const data::Dataset train = describe_parts(arguments);
  if (arguments.sheet.empty()) return kSuccess;
  data::write_png(arguments.sheet, data::contact_sheet(train));
  fmt::print("contact sheet of the training images written to {}\n", arguments.sheet);
  return kSuccess;
}

}  // namespace

void add_data(CLI::App& program, int& exit_code) {
  auto arguments = std::make_shared<DataArguments>();
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
  details->footer(
      "Example:\n  decorr data info fashion-mnist --root /data/fashion\n"
      "  decorr data info image-folder --root photos --image-size 64 --contact-sheet sheet.png");
  details->add_option("NAME", arguments->name, "Data set, as decorr data list names it")
      ->required();
  details->add_option("--root", arguments->options.root, "Folder of its files");
  details
      ->add_option("--image-size", arguments->options.images.image_size,
                   "Side to which image files are scaled and cropped (the key data.image_size)")
      ->check(CLI::Range(0, 16384));
  details->add_flag("--skip-corrupt", arguments->options.images.skip_corrupt,
                    "Leave out image files that cannot be decoded (the key data.corrupt)");
  details->add_option("--contact-sheet", arguments->sheet,
                      "PNG file to write: the first training images of the first 20 classes");
  details->callback([arguments, &exit_code] { exit_code = data_info(*arguments); });
  add_data_fetch(*command, exit_code);
}

}  // namespace decorr::app
