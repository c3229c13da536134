#pragma once

#include <torch/nn/module.h>

#include <map>
#include <string>
#include <vector>

// Which modules have parameters in common. Internal to nn/: not installed.
namespace decorr::nn {

/// The parameters that the parts of a model share: function preservation changes weights in place,
/// and a second user of them would change its function.
class SharedParameters {
 public:
  /// Looks at the modules that the containers from `root` on hold, each once; containers are what
  /// is_container() says.
  explicit SharedParameters(const torch::nn::Module& root);

  /// Says which parameter of `part`, or of a module in it, has a second user; empty if none has.
  std::string conflict(const torch::nn::Module& part) const;

 private:
  std::map<const void*, std::vector<std::string>> uses_;  // paths, by the address of the numbers
};

}  // namespace decorr::nn
