#include "decorr/core/threads.h"
#include "decorr/core/version.h"
#include "decorr/learning/loss.h"
#include "decorr/learning/rule.h"
#include "decorr/linalg/onednn.h"
#include "decorr/nn/activation.h"
#include "decorr/whitening/options.h"

#include <ATen/ATen.h>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <torch/version.h>

#include "apps/decorr/commands.h"
#include <memory>
#include <string>
#include <vector>

namespace decorr::app {
namespace {

struct InfoArguments {
  bool rules = false;
  bool methods = false;
};

int info(const InfoArguments& arguments) {
  if (arguments.rules || arguments.methods) {
    const std::vector<std::string> names =
        arguments.rules ? learning::rules() : whitening::methods();
    for (const std::string& name : names) fmt::print("{}\n", name);
    return kSuccess;
  }
  fmt::print("decorr                  {}\n", kVersion);
  fmt::print("LibTorch                {}\n", TORCH_VERSION);
  fmt::print("oneDNN                  {} ({})\n", linalg::onednn::version(),
             linalg::onednn::instruction_set());
  fmt::print("processors              {}\n", available_processors());
  fmt::print("CUDA                    {}\n", at::hasCUDA() ? "yes" : "no");
  fmt::print("decorrelation methods   {}\n", fmt::join(whitening::methods(), ", "));
  fmt::print("decorrelation presets   {}\n", fmt::join(whitening::presets(), ", "));
  fmt::print("learning rules          {}\n", fmt::join(learning::rules(), ", "));
  fmt::print("losses                  {}\n", fmt::join(learning::losses(), ", "));
  fmt::print("activations             {}\n", fmt::join(nn::activations(), ", "));
  return kSuccess;
}

}  // namespace

void add_info(CLI::App& program, int& exit_code) {
  auto arguments = std::make_shared<InfoArguments>();
  CLI::App* command =
      program.add_subcommand("info", "Versions, this machine, and what can be chosen.");
  command->footer("Example:\n  decorr info\n  decorr info --rules");
  CLI::Option* rules =
      command->add_flag("--rules", arguments->rules, "List the learning rules, one a line");
  command->add_flag("--methods", arguments->methods, "List the decorrelation methods, one a line")
      ->excludes(rules);
  command->callback([arguments, &exit_code] { exit_code = info(*arguments); });
}

}  // namespace decorr::app
