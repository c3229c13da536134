#include "decorr/nn/layer_factory.h"

namespace decorr::nn {

Linear LayerFactory::linear(const std::string& path, LinearOptions options) const {
  return Linear(options.decorrelation(plan(path)).random(RandomStream(seed, path)).path(path));
}

Conv2d LayerFactory::conv2d(const std::string& path,
                            const torch::nn::Conv2dOptions& options) const {
  return Conv2d(
      Conv2dOptions(options).decorrelation(plan(path)).random(RandomStream(seed, path)).path(path));
}

}  // namespace decorr::nn
