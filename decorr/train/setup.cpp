#include "decorr/train/setup.h"

#include "decorr/linalg/precision.h"
#include "decorr/nn/convnet.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/recurrent.h"
#include "decorr/nn/resnet.h"
#include "decorr/nn/transformer.h"
#include "decorr/nn/update.h"
#include "decorr/optim/adam.h"
#include "decorr/optim/sgd.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace decorr::train {
namespace {

std::shared_ptr<nn::Model> build_any(const Config& config, const data::Dataset& dataset) {
  const ModelConfig& model = config.model;
  const auto outputs = static_cast<std::int64_t>(dataset.classes.size());
  const auto seed = static_cast<std::uint64_t>(config.seed);
  const nn::ImageShape image = input_shape(config, dataset);
  const nn::DecorrelationPlan plan = [decorrelation =
                                          config.decorrelation](const std::string& path) {
    return decorrelation.options_for(path);
  };
  if (model.type == "convnet")
    return std::make_shared<nn::ConvNetImpl>(nn::ConvNetOptions(image, outputs)
                                                 .conv_widths(model.conv_widths)
                                                 .dense_widths(model.dense_widths)
                                                 .activation(model.activation)
                                                 .batch_norm(model.batch_norm)
                                                 .bias(model.bias)
                                                 .decorrelation(plan)
                                                 .seed(seed));
  if (model.type == "resnet18")
    return std::make_shared<nn::ResNet18Impl>(nn::ResNet18Options(image.channels, outputs)
                                                  .width(model.width)
                                                  .batch_norm(model.batch_norm)
                                                  .decorrelation(plan)
                                                  .seed(seed));
  if (model.type == "transformer")
    return std::make_shared<nn::TransformerImpl>(nn::TransformerOptions(image, outputs)
                                                     .width(model.width)
                                                     .depth(model.depth)
                                                     .heads(model.heads)
                                                     .decorrelation(plan)
                                                     .seed(seed));
  if (model.type == "recurrent")
    return std::make_shared<nn::RecurrentImpl>(
        nn::RecurrentOptions(image, outputs).width(model.width).decorrelation(plan).seed(seed));
  return std::make_shared<nn::MlpImpl>(
      nn::MlpOptions(image.channels * image.height * image.width, model.hidden, outputs)
          .activation(model.activation)
          .batch_norm(model.batch_norm)
          .bias(model.bias)
          .published_activations(model.published_activations)
          .decorrelation(plan)
          .seed(seed));
}

// The network as configured; what does not fit together or to the images is the configuration's
// fault.
std::shared_ptr<nn::Model> build(const Config& config, const data::Dataset& dataset) {
  try {
    return build_any(config, dataset);
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what(), fmt::format("model.type = \"{}\"", config.model.type),
                      fmt::format("change [model], or take other data than {}", dataset.name));
  }
}

// Whether batch normalization has no variance to divide by in a batch of one image, of which
// somewhere a single number a channel is left.
bool normalizes_single_numbers(const ModelConfig& model, const nn::ImageShape& image) {
  if (!model.batch_norm) return false;
  if (model.type == "mlp") return !model.hidden.empty();
  if (model.type == "convnet") return !model.dense_widths.empty();
  return model.type == "resnet18" &&
         std::max(image.height, image.width) <= nn::ResNet18Impl::kStride;
}

void check_batches(const Config& config, const data::Dataset& dataset) {
  const nn::ImageShape image = input_shape(config, dataset);
  if (!normalizes_single_numbers(config.model, image)) return;
  const std::int64_t batch = config.train.batch_size;
  const bool last_is_one = dataset.size() % batch == 1 && !config.data.drop_last;
  if (batch > 1 && !last_is_one) return;
  throw ConfigError(
      fmt::format("batch normalization cannot train on a batch of one image of {} x {}",
                  image.height, image.width),
      "model.batch_norm = true",
      batch > 1 ? "set data.drop_last = true, or another train.batch_size"
                : "raise train.batch_size");
}

}  // namespace

bool rounds_products(const Config& config) {
  if (config.train.precision != "bf16") return false;
  if (config.train.device == "cpu" && !linalg::has_bfloat16())
    throw ConfigError("this processor has no bfloat16 instructions", "train.precision = \"bf16\"",
                      "set train.precision = \"float32\"");
  return true;
}

std::shared_ptr<nn::Model> make_model(const Config& config, const data::Dataset& dataset) {
  if (config.train.device == "cuda" && !at::hasCUDA())
    throw ConfigError("this LibTorch has no CUDA device", "train.device = \"cuda\"",
                      "set train.device = \"cpu\"");
  check_batches(config, dataset);
  const std::shared_ptr<nn::Model> model = build(config, dataset);
  std::vector<std::string> paths;
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*model))
    paths.push_back(located.path);
  config.decorrelation.check_patterns(paths);
  model->to(at::Device(config.train.device), number_type(config));
  return model;
}

std::unique_ptr<learning::Rule> make_learning_rule(const Config& config,
                                                   const std::shared_ptr<nn::Model>& model,
                                                   const learning::Loss& loss,
                                                   const data::Dataset& dataset) {
  const nn::ImageShape image = input_shape(config, dataset);
  const at::Tensor example =
      at::zeros({1, image.channels, image.height, image.width},
                at::TensorOptions(number_type(config)).device(at::Device(config.train.device)));
  learning::RuleOptions options = config.learning.options;
  options.seed = static_cast<std::uint64_t>(config.seed);
  try {
    return learning::make_rule(config.learning.rule, model, loss, options, example);
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what(), fmt::format("learning.rule = \"{}\"", config.learning.rule),
                      "change [learning] or [model]");
  }
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

}  // namespace decorr::train
