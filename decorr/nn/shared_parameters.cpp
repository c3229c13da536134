#include "decorr/nn/shared_parameters.h"

#include "decorr/core/check.h"
#include "decorr/nn/rebuild.h"

#include <ATen/ATen.h>

#include <functional>
#include <set>

namespace decorr::nn {

SharedParameters::SharedParameters(const torch::nn::Module& root) {
  std::set<const torch::nn::Module*> seen;
  const std::function<void(const std::string&, const torch::nn::Module&)> visit =
      [&](const std::string& path, const torch::nn::Module& module) {
        if (!seen.insert(&module).second) return;
        if (is_container(module)) {
          for (const auto& child : module.named_children())
            visit(joined(path, child.key()), *child.value());
          return;
        }
        for (const auto& item : module.named_parameters())
          uses_[item.value().data_ptr()].push_back(joined(path, item.key()));
      };
  visit("", root);
}

std::string SharedParameters::conflict(const torch::nn::Module& part) const {
  for (const auto& item : part.named_parameters()) {
    const auto found = uses_.find(item.value().data_ptr());
    if (found != uses_.end() && found->second.size() > 1)
      return fmt::format(
          "it shares parameters (\"{}\" is \"{}\"), which only one R can change: "
          "untie them",
          found->second[0], found->second[1]);
  }
  return "";
}

}  // namespace decorr::nn
