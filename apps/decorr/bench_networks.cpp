#include "apps/decorr/bench_networks.h"

#include "decorr/core/check.h"

#include <algorithm>

namespace decorr::bench {

std::vector<std::string> networks() { return {"mlp", "convnet"}; }

std::vector<std::string> precisions() { return {"float32", "float64", "bf16"}; }

std::int64_t scaled(std::int64_t size, std::int64_t scale, std::int64_t least) {
  return std::max(least, size / scale);
}

train::Config network_config(const std::string& name, std::int64_t scale) {
  check_argument(name == "mlp" || name == "convnet",
                 "[network_config] the networks are mlp and convnet, got {}", name);
  const auto narrow = [&](std::vector<std::int64_t> widths) {
    for (std::int64_t& width : widths) width = scaled(width, scale);
    return widths;
  };
  train::Config config;
  config.model.type = name;
  config.model.hidden = narrow({1000, 1000, 1000, 1000});
  config.model.published_activations = name == "mlp";
  config.model.conv_widths = narrow({32, 32, 64, 64});
  config.model.dense_widths = narrow({1000});
  config.optimizer.lr = 1e-4;
  config.optimizer.beta2 = 0.9999;
  config.train.batch_size = scaled(name == "mlp" ? 256 : 128, scale, 2);
  return config;
}

train::Config plain(train::Config config) {
  config.decorrelation.options.method = "none";
  return config;
}

}  // namespace decorr::bench
