#include "decorr/train/setup.h"

#include "decorr/data/registry.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"
#include "decorr/optim/sgd.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <utility>

namespace decorr::train {
namespace {

at::ScalarType precision_of(const Config& config) {
  return config.train.precision == "float64" ? at::kDouble : at::kFloat;
}

std::uint32_t checksum(std::uint32_t value, const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.contiguous();
  return static_cast<std::uint32_t>(
      crc32_z(value, static_cast<const Bytef*>(bytes.data_ptr()), bytes.nbytes()));
}

}  // namespace

Datasets load_datasets(const Config& config) {
  Datasets result;
  result.train = data::load(config.data.name, "train", config.data.root);
  result.test = data::load(config.data.name, "test", config.data.root);
  if (config.data.validation > 0) {
    auto [train, validation] = data::split_validation(result.train, config.data.validation,
                                                      static_cast<std::uint64_t>(config.seed));
    result.train = std::move(train);
    result.validation = std::move(validation);
  }
  if (config.data.normalize) result.normalization = data::measure(result.train);
  return result;
}

std::uint32_t fingerprint(const data::Dataset& dataset) {
  return checksum(checksum(0, dataset.images), dataset.labels);
}

std::shared_ptr<nn::Model> make_model(const Config& config, const data::Dataset& dataset) {
  if (config.train.device == "cuda" && !at::hasCUDA())
    throw ConfigError("this LibTorch has no CUDA device", "train.device = \"cuda\"",
                      "set train.device = \"cpu\"");
  auto model = std::make_shared<nn::MlpImpl>(
      nn::MlpOptions(dataset.images[0].numel(), config.model.hidden,
                     static_cast<std::int64_t>(dataset.classes.size()))
          .activation(config.model.activation)
          .bias(config.model.bias)
          .published_activations(config.model.published_activations)
          .seed(static_cast<std::uint64_t>(config.seed))
          .decorrelation([plan = config.decorrelation](const std::string& path) {
            return plan.options_for(path);
          }));
  std::vector<std::string> paths;
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*model))
    paths.push_back(located.path);
  config.decorrelation.check_patterns(paths);
  model->to(at::Device(config.train.device), precision_of(config));
  return model;
}

std::unique_ptr<optim::Optimizer> make_optimizer(const OptimizerConfig& config, nn::Model& model) {
  optim::NamedParameters parameters = optim::named_parameters(model);
  if (config.type == "sgd")
    return std::make_unique<optim::Sgd>(std::move(parameters),
                                        optim::SgdOptions()
                                            .momentum(config.momentum)
                                            .nesterov(config.nesterov)
                                            .weight_decay(config.weight_decay));
  return std::make_unique<optim::Adam>(std::move(parameters),
                                       optim::AdamOptions()
                                           .beta1(config.beta1)
                                           .beta2(config.beta2)
                                           .eps(config.eps)
                                           .weight_decay(config.weight_decay));
}

data::LoaderOptions training_loader(const Config& config,
                                    const data::Normalization& normalization) {
  data::AugmentOptions augment;
  augment.crop_padding = config.data.crop_padding;
  augment.flip = config.data.flip;
  return data::LoaderOptions()
      .batch_size(config.train.batch_size)
      .shuffle(true)
      .drop_last(config.data.drop_last)
      .seed(static_cast<std::uint64_t>(config.seed))
      .augment(augment)
      .normalization(normalization)
      .prefetch(config.data.prefetch)
      .dtype(precision_of(config));
}

data::LoaderOptions evaluation_loader(const Config& config,
                                      const data::Normalization& normalization) {
  return data::LoaderOptions()
      .batch_size(config.train.eval_batch_size)
      .shuffle(false)
      .normalization(normalization)
      .prefetch(config.data.prefetch)
      .dtype(precision_of(config));
}

}  // namespace decorr::train
