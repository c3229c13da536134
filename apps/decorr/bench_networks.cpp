#include "apps/decorr/bench_networks.h"

#include "decorr/core/check.h"

#include <algorithm>

namespace decorr::bench {

namespace {

constexpr const char* kRoundedDecorrelation = "decorrelation-bf16";

}  // namespace

std::vector<std::string> networks() { return {"mlp", "convnet", "convolutions"}; }

std::vector<std::string> precisions() {
  return {"float32", "float64", "bf16", kRoundedDecorrelation};
}

std::int64_t scaled(std::int64_t size, std::int64_t scale, std::int64_t least) {
  return std::max(least, size / scale);
}

train::Config network_config(const std::string& name, std::int64_t scale) {
  const std::vector<std::string> known = networks();
  check_argument(std::find(known.begin(), known.end(), name) != known.end(),
                 "[network_config] the networks are {}, got {}", fmt::join(known, ", "), name);
  const auto narrow = [&](std::vector<std::int64_t> widths) {
    for (std::int64_t& width : widths) width = scaled(width, scale);
    return widths;
  };
  train::Config config;
  config.model.type = name == "mlp" ? "mlp" : "convnet";
  config.model.hidden = narrow({1000, 1000, 1000, 1000});
  config.model.published_activations = name == "mlp";
  config.model.conv_widths = narrow({32, 32, 64, 64});
  config.model.dense_widths = narrow({1000});
  if (name == "convolutions") {
    config.model.dense_widths.clear();
    config.decorrelation.layers.push_back({"dense.*", {}});
    config.decorrelation.layers.back().settings.push_back({"method", std::string("none")});
  }
  config.optimizer.lr = 1e-4;
  config.optimizer.beta2 = 0.9999;
  config.train.batch_size = scaled(name == "mlp" ? 256 : 128, scale, 2);
  return config;
}

void set_precision(train::Config& config, const std::string& precision) {
  const bool decorrelation_only = precision == kRoundedDecorrelation;
  config.train.precision = decorrelation_only ? "float32" : precision;
  if (decorrelation_only) config.decorrelation.options.precision = "bf16";
}

train::Config plain(train::Config config) {
  config.decorrelation = train::DecorrelationConfig();
  config.decorrelation.options.method = "none";
  return config;
}

}  // namespace decorr::bench
