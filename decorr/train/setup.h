#pragma once

#include "decorr/data/dataset.h"
#include "decorr/data/loader.h"
#include "decorr/learning/rule.h"
#include "decorr/nn/image.h"
#include "decorr/nn/model.h"
#include "decorr/optim/optimizer.h"
#include "decorr/train/config.h"

#include <memory>
#include <optional>
#include <string>

namespace decorr::train {

/// The data of a run.
struct Datasets {
  data::Dataset train;                      ///< what is trained on
  std::optional<data::Dataset> validation;  ///< held out of the training set, if asked for
  data::Dataset test;
  data::Normalization normalization;  ///< given or measured on `train`; empty if not wanted
};

/// Loads the data that `config` names; the validation split is drawn by `config.seed`. Throws as
/// data::load() and data::split_validation() do, and ConfigError when `data.mean` or `data.std` has
/// not one number for each channel; data::LoadStopped if `interrupted` asks for it.
Datasets load_datasets(const Config& config, const std::function<bool()>& interrupted = {});

/// Sizes of the images that the network sees: those of `dataset`, or `data.crop_size`. Throws
/// ConfigError when the images are smaller than the crop.
nn::ImageShape input_shape(const Config& config, const data::Dataset& dataset);

/// Type of the model's numbers: float32 or float64.
at::ScalarType number_type(const Config& config);

/// A number that changes when the training images, their labels or their order do (CRC-32).
std::uint32_t fingerprint(const data::Dataset& dataset);

/// Whether products are rounded to bfloat16 as `config` asks. Throws ConfigError if it does and the
/// processor has no instructions for that.
bool rounds_products(const Config& config);

/// Builds the network that `config` describes for the images and classes of `dataset`, in the
/// configured precision and on the configured device. Throws ConfigError for a network that its
/// settings or the images do not allow, a decorrelation pattern that matches no layer, or a device
/// that is not there.
std::shared_ptr<nn::Model> make_model(const Config& config, const data::Dataset& dataset);

/// Builds the learning rule that `config` describes for `model`, which it keeps and which has its
/// type and device; images are those of `dataset`. Throws ConfigError for a rule that cannot serve
/// the model.
std::unique_ptr<learning::Rule> make_learning_rule(const Config& config,
                                                   const std::shared_ptr<nn::Model>& model,
                                                   const learning::Loss& loss,
                                                   const data::Dataset& dataset);

/// Builds the optimizer that `config` describes over all parameters of `model`.
std::unique_ptr<optim::Optimizer> make_optimizer(const OptimizerConfig& config, nn::Model& model);

/// Settings of the loader of training batches (shuffled, augmented, random crops).
data::LoaderOptions training_loader(const Config& config, const data::Normalization& normalization);

/// Settings of the loader of evaluation batches (in order, as they are or cropped in the middle).
data::LoaderOptions evaluation_loader(const Config& config,
                                      const data::Normalization& normalization);

}  // namespace decorr::train
