#pragma once

#include "decorr/core/schedule.h"
#include "decorr/data/gaussian.h"
#include "decorr/learning/rule_options.h"
#include "decorr/whitening/options.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace decorr::train {

/// A configuration that cannot be used. The message is one line, `WHAT, WHERE, HOW TO MEND`, for
/// example `unknown key "optimiser.lr", a.toml:12, did you mean "optimizer.lr"?`.
class ConfigError : public std::invalid_argument {
 public:
  /// Joins the three parts; control characters in them become spaces.
  ConfigError(const std::string& what, const std::string& where, const std::string& mend);
};

/// `[data]`: what to train on and how samples are prepared.
struct DataConfig {
  std::string name = "fashion-mnist";  ///< dataset, one that data::load() knows
  std::string root;                    ///< folder of its files; empty: the usual places
  std::int64_t image_size = 0;         ///< image files: side they are scaled to, >= 0; 0: none
  std::string corrupt = "fail";        ///< image files that are damaged: `fail` or `skip`
  data::GaussianOptions gaussian;      ///< `gaussian`; its seed is that of the run
  std::int64_t validation = 0;         ///< images held out of the training set, >= 0
  std::string preset = "none";         ///< where settings came from: `none` or `published`
  std::int64_t crop_padding = 0;       ///< pixels of padding for random crops, >= 0
  std::int64_t crop_size = 0;          ///< side of the crop, >= 0; 0: the whole image
  bool flip = false;                   ///< mirror training images with probability one half
  bool normalize = true;               ///< shift and scale channels to mean 0, variance 1
  std::vector<double> mean;            ///< of each channel (pixel / 255); empty: measured
  std::vector<double> std;             ///< of each channel, > 0; empty: measured
  bool drop_last = false;              ///< leave out an epoch's last batch if it is not full
  std::int64_t prefetch = 2;           ///< batches prepared ahead, in [1, 1024]
};

/// `[model]`: the network.
struct ModelConfig {
  /// Kind of network: `mlp`, `convnet`, `resnet18`, `transformer` or `recurrent`.
  std::string type = "mlp";
  std::vector<std::int64_t> hidden{256, 256};  ///< `mlp`: widths in [1, 10⁶]; empty: linear model
  std::vector<std::int64_t> conv_widths{32, 32, 64, 64};  ///< `convnet`: channels, in [1, 10⁶]
  std::vector<std::int64_t> dense_widths{1000};  ///< `convnet`: dense layers behind them, alike
  std::int64_t width = 64;  ///< `resnet18`, `transformer`, `recurrent`: in [1, 10⁶]
  /// `mlp`, `convnet`, `resnet18`: batch normalization in front of each activation. In a file the
  /// default is true for `resnet18`.
  bool batch_norm = false;
  std::int64_t depth = 2;                 ///< `transformer`: blocks, in [0, 1000]
  std::int64_t heads = 4;                 ///< `transformer`: attention heads, they divide the width
  std::string activation = "leaky-relu";  ///< `mlp`, `convnet`: one of nn::activations()
  bool bias = true;                       ///< `mlp`, `convnet`: whether layers have biases
  bool published_activations = false;     ///< `mlp`: none after the last hidden layer
};

/// A setting of an element of `[[decorrelation.layers]]`.
using Setting = std::variant<bool, std::int64_t, double, std::string>;

/// `[[decorrelation.layers]]`: settings for the layers that a pattern selects.
struct LayerDecorrelation {
  /// Glob on the layer's path (`layers.0`): `*` any characters, `?` one, `[12]` one of those.
  std::string pattern;
  /// Keys of `[decorrelation]` except `preset`, with their values.
  std::vector<std::pair<std::string, Setting>> settings;
};

/// `[decorrelation]`: how layer inputs are decorrelated.
struct DecorrelationConfig {
  std::string preset = "default";          ///< where options came from; see whitening::presets()
  whitening::DecorrelatorOptions options;  ///< the preset with the explicit keys on top
  std::vector<LayerDecorrelation> layers;  ///< exceptions by layer; later ones win

  /// The options of the layer at `layer_path` (`layers.0`): the general ones, then each matching
  /// element of `layers` in turn. Throws `std::invalid_argument` for a setting that is unknown or
  /// of the wrong type, which a configuration that was read does not have.
  whitening::DecorrelatorOptions options_for(const std::string& layer_path) const;

  /// Throws ConfigError naming the first pattern that matches none of `layer_paths`.
  void check_patterns(const std::vector<std::string>& layer_paths) const;
};

/// `[learning]`: how errors become gradients.
struct LearningConfig {
  std::string rule = "backprop";       ///< one of learning::rules()
  std::string loss = "cross-entropy";  ///< one of learning::losses()
  learning::RuleOptions options;       ///< of the rule; its seed is that of the run
  bool alignment = false;              ///< measure_alignment() at the end of each epoch
};

/// `[optimizer]`: how gradients become steps.
struct OptimizerConfig {
  std::string type = "adam";  ///< `adam` or `sgd`
  double lr = 1e-3;           ///< learning rate, > 0
  double beta1 = 0.9;         ///< `adam`: decay of the first moment a step, in [0, 1)
  double beta2 = 0.999;       ///< `adam`: decay of the second moment a step, in [0, 1)
  double eps = 1e-8;          ///< `adam`: added to the root of the second moment, > 0
  double momentum = 0.0;      ///< `sgd`: decay of the momentum a step, in [0, 1)
  bool nesterov = false;      ///< `sgd`: Nesterov's momentum; needs momentum > 0
  double weight_decay = 0.0;  ///< coefficient λ >= 0
  double clip_norm = 0.0;     ///< upper bound of the gradient's norm, >= 0; 0: none
  /// Warm-up and decay of lr over steps; here `total` 0 stands for the whole run.
  Schedule schedule{"constant", 0, 1, 0.1, 0, 0.0};

  /// The schedule for a run of `run_steps` steps: `total` 0 becomes what the warm-up leaves of
  /// them, at least 1.
  Schedule schedule_over(std::int64_t run_steps) const;
};

/// `[train]`: the training loop.
struct TrainConfig {
  std::int64_t epochs = 10;             ///< passes through the training set, in [1, 10⁹]
  std::int64_t batch_size = 256;        ///< samples in a micro-batch, in [1, 10⁹]
  std::int64_t eval_batch_size = 1000;  ///< samples in a batch of the evaluation, in [1, 10⁹]
  std::int64_t accumulate = 1;          ///< micro-batches in a step, in [1, 10⁹]
  std::int64_t checkpoint_every = 0;    ///< steps, >= 0; 0: at the end of each epoch only
  std::int64_t keep = 3;                ///< newest checkpoints that are kept, >= 1
  std::int64_t early_stopping = 0;      ///< epochs without a better loss, >= 0; 0: off
  std::int64_t threads = 0;             ///< in [0, 4096]; 0: as many as there are processors
  /// `float32` or `float64` of the whole model; `bf16`: float32 with products rounded to bfloat16.
  std::string precision = "float32";
  std::string device = "cpu";  ///< `cpu` or `cuda`
  /// Run directory or checkpoint whose trained weights the run starts from; empty: random ones.
  std::string initial_weights;
};

/// Everything that decides a training run. Default-constructed: the run of an empty file.
struct Config {
  std::int64_t seed = 42;  ///< of every random number in the run, >= 0
  DataConfig data;
  ModelConfig model;
  DecorrelationConfig decorrelation;
  LearningConfig learning;
  OptimizerConfig optimizer;
  TrainConfig train;
};

/// Reads a configuration from TOML; keys that are not given have their defaults.
///
/// Each override is `section.key=value` (`seed=value`) with the value in TOML syntax; one that is
/// not TOML is taken as a string (`data.root=/data`). Overrides are applied in order on top of the
/// file. Throws ConfigError, naming the place, for a file that cannot be read or is not TOML, for
/// unknown keys, values of the wrong type or out of range, and keys that have no effect with the
/// chosen type, method or schedule.
Config load_config(const std::string& path, const std::vector<std::string>& overrides = {});

/// The same from the TOML `text`; `source_name` is what errors call it.
Config parse_config(const std::string& text, const std::string& source_name,
                    const std::vector<std::string>& overrides = {});

/// The resolved configuration in TOML: every key that has an effect with the chosen types, methods
/// and schedules, in the order of describe_config(). Reading it gives the same run; equal
/// configurations give equal text.
std::string to_toml(const Config& config);

/// A listing of every key with its default, type, allowed values and meaning, for a help text.
std::string describe_config();

}  // namespace decorr::train
