#include "decorr/learning/loss.h"
#include "decorr/learning/rule.h"
#include "decorr/nn/activation.h"
#include "decorr/train/config_binding.h"

#include <fmt/format.h>

#include <utility>

namespace decorr::train {
namespace {

constexpr double kMaxCount = 1e9;

std::vector<Binding> data_bindings(DataConfig& data) {
  const std::vector<Condition> normalized{{"data.normalize", {"true"}}};
  const std::vector<Condition> image_files{{"data.name", {"tiny-imagenet", "image-folder"}}};
  const std::vector<Condition> gaussian{{"data.name", {"gaussian"}}};
  return {
      Binding("data.name", &data.name, "dataset; `decorr data list` shows those there are"),
      Binding("data.root", &data.root, "folder of its files; empty: the usual places"),
      Binding("data.image_size", &data.image_size,
              "side to which images are scaled and cropped when they are read; 0: as they are")
          .within(Range::between(0, 16384))
          .when(image_files),
      Binding("data.corrupt", &data.corrupt,
              "image files that cannot be decoded are an error, or left out with a note")
          .among({"fail", "skip"})
          .when(image_files),
      Binding("data.samples", &data.gaussian.samples,
              "vectors that are made to train; to test, a fifth of that")
          .within(Range::between(1, 1e7))
          .when(gaussian),
      Binding("data.features", &data.gaussian.features, "length of a vector")
          .within(Range::between(1, 1e5))
          .when(gaussian),
      Binding("data.correlation", &data.gaussian.correlation,
              "correlation of neighbouring features; of others its power to their distance")
          .within(Range::decay())
          .when(gaussian),
      Binding("data.classes", &data.gaussian.classes, "number of classes")
          .within(Range::between(2, 1e4))
          .when(gaussian),
      Binding("data.validation", &data.validation, "images held out of the training set")
          .within(Range::at_least(0)),
      Binding(
          "data.preset", &data.preset,
          "settings to start from; other keys come on top; published: for cifar10, cifar100 and "
          "tiny-imagenet, those of the authors' code of CRGD")
          .among({"none", "published"}),
      Binding("data.crop_padding", &data.crop_padding,
              "pixels of padding around training images for random crops; 0: none")
          .within(Range::at_least(0)),
      Binding("data.crop_size", &data.crop_size,
              "side of the crops, random to train, from the middle to evaluate; 0: whole images")
          .within(Range::at_least(0)),
      Binding("data.flip", &data.flip, "mirror training images with probability one half"),
      Binding("data.normalize", &data.normalize, "shift and scale channels to mean 0, variance 1"),
      Binding("data.mean", &data.mean,
              "mean of each channel in units of pixel / 255; []: measured on the training images")
          .when(normalized),
      Binding("data.std", &data.std, "standard deviation of each channel, likewise")
          .within(Range::positive())
          .when(normalized),
      Binding("data.drop_last", &data.drop_last,
              "leave out an epoch's last batch if it is not full"),
      Binding("data.prefetch", &data.prefetch, "batches prepared ahead")
          .within(Range::between(1, 1024))};
}

std::vector<Binding> model_bindings(ModelConfig& model) {
  const auto of = [](std::vector<std::string> types) {
    return std::vector<Condition>{{"model.type", std::move(types)}};
  };
  const Range widths = Range::between(1, 1e6);
  return {
      Binding("model.type", &model.type, "kind of network")
          .among({"mlp", "convnet", "resnet18", "transformer", "recurrent"}),
      Binding("model.hidden", &model.hidden,
              "widths of the hidden layers; [] is softmax regression")
          .within(widths)
          .when(of({"mlp"})),
      Binding("model.conv_widths", &model.conv_widths,
              "channels of the convolutions; after every second the image is halved")
          .within(widths)
          .when(of({"convnet"})),
      Binding("model.dense_widths", &model.dense_widths,
              "widths of the hidden dense layers behind the convolutions")
          .within(widths)
          .when(of({"convnet"})),
      Binding("model.width", &model.width,
              "channels of the first stage; width of a token; number of hidden units")
          .within(widths)
          .when(of({"resnet18", "transformer", "recurrent"})),
      Binding("model.batch_norm", &model.batch_norm,
              "batch normalization in front of each activation; default true with resnet18")
          .when(of({"mlp", "convnet", "resnet18"})),
      Binding("model.depth", &model.depth, "number of blocks")
          .within(Range::between(0, 1000))
          .when(of({"transformer"})),
      Binding("model.heads", &model.heads, "attention heads of a block; they divide the width")
          .within(widths)
          .when(of({"transformer"})),
      Binding("model.activation", &model.activation, "after each hidden layer")
          .among(nn::activations())
          .when(of({"mlp", "convnet"})),
      Binding("model.bias", &model.bias, "whether layers have biases").when(of({"mlp", "convnet"})),
      Binding("model.published_activations", &model.published_activations,
              "no activation after the last hidden layer, as in the authors' code of CRGD")
          .when(of({"mlp"}))};
}

std::vector<Binding> learning_bindings(LearningConfig& learning) {
  const auto of = [](std::vector<std::string> rules) {
    return std::vector<Condition>{{"learning.rule", std::move(rules)}};
  };
  std::vector<std::string> approximations = learning::rules();
  approximations.erase(approximations.begin());  // backprop, of which the others are some
  learning::RuleOptions& options = learning.options;
  return {
      Binding("learning.rule", &learning.rule, "how the error becomes gradients")
          .among(learning::rules()),
      Binding("learning.loss", &learning.loss, "loss").among(learning::losses()),
      Binding("learning.feedback_init", &options.feedback_init,
              "how feedback matrices start: random numbers, or the forward weights (not for "
              "direct-feedback-alignment)")
          .among({"uniform", "normal", "weights"})
          .when(of({"feedback-alignment", "direct-feedback-alignment", "kolen-pollack"})),
      Binding("learning.feedback_scale", &options.feedback_scale,
              "their root mean square, in units of that of the forward weights")
          .within(Range::positive())
          .when(of({"feedback-alignment", "direct-feedback-alignment", "sign-symmetry",
                    "kolen-pollack"})),
      Binding("learning.feedback_space", &options.feedback_space,
              "feedback matrices follow R as the weights do, or stay as they are")
          .among({"input", "decorrelated"})
          .when(of({"feedback-alignment", "kolen-pollack"})),
      Binding("learning.magnitude", &options.magnitude,
              "magnitudes of sign-symmetric feedback: one number, random once, or random a batch")
          .among({"uniform", "fixed", "batch"})
          .when(of({"sign-symmetry"})),
      Binding("learning.variant", &options.variant,
              "noise on all layers in one pass, on each in its own, or all and learning from the "
              "change of the activity")
          .among({"simultaneous", "iterative", "activity-based"})
          .when(of({"node-perturbation"})),
      Binding("learning.sigma", &options.sigma,
              "standard deviation of the noise on pre-activations or weights")
          .within(Range::positive())
          .when(of({"node-perturbation", "weight-perturbation"})),
      Binding("learning.antithetic", &options.antithetic,
              "compare noise with its negative in place of none")
          .when(of({"node-perturbation", "weight-perturbation"})),
      Binding("learning.alignment", &learning.alignment,
              "measure angles to backpropagation at the end of each epoch, into the metrics")
          .when(of(std::move(approximations)))};
}

std::vector<Binding> optimizer_bindings(OptimizerConfig& optimizer) {
  const std::vector<Condition> adam{{"optimizer.type", {"adam"}}};
  const std::vector<Condition> sgd{{"optimizer.type", {"sgd"}}};
  return {
      Binding("optimizer.type", &optimizer.type, "optimizer").among({"adam", "sgd"}),
      Binding("optimizer.lr", &optimizer.lr, "learning rate").within(Range::positive()),
      Binding("optimizer.beta1", &optimizer.beta1, "decay of the first moment a step")
          .within(Range::decay())
          .when(adam),
      Binding("optimizer.beta2", &optimizer.beta2, "decay of the second moment a step")
          .within(Range::decay())
          .when(adam),
      Binding("optimizer.eps", &optimizer.eps, "added to the root of the second moment")
          .within(Range::positive())
          .when(adam),
      Binding("optimizer.momentum", &optimizer.momentum, "decay of the momentum a step")
          .within(Range::decay())
          .when(sgd),
      Binding("optimizer.nesterov", &optimizer.nesterov, "Nesterov's momentum; needs momentum > 0")
          .when(sgd),
      Binding("optimizer.weight_decay", &optimizer.weight_decay, "coefficient of the weight decay")
          .within(Range::at_least(0)),
      Binding("optimizer.clip_norm", &optimizer.clip_norm,
              "upper bound of the gradient's norm; 0: none")
          .within(Range::at_least(0))};
}

std::vector<Binding> train_bindings(TrainConfig& train) {
  return {Binding("train.epochs", &train.epochs, "passes through the training set")
              .within(Range::between(1, kMaxCount)),
          Binding("train.batch_size", &train.batch_size, "samples in a micro-batch")
              .within(Range::between(1, kMaxCount)),
          Binding("train.eval_batch_size", &train.eval_batch_size,
                  "samples in a batch of the evaluation")
              .within(Range::between(1, kMaxCount)),
          Binding("train.accumulate", &train.accumulate, "micro-batches in a step")
              .within(Range::between(1, kMaxCount)),
          Binding("train.checkpoint_every", &train.checkpoint_every,
                  "steps between checkpoints; 0: at the end of each epoch only")
              .within(Range::at_least(0)),
          Binding("train.keep", &train.keep, "newest checkpoints that are kept")
              .within(Range::at_least(1)),
          Binding("train.early_stopping", &train.early_stopping,
                  "stop after so many epochs without a better loss; 0: off")
              .within(Range::at_least(0)),
          Binding("train.threads", &train.threads, "threads; 0: as many as there are processors")
              .within(Range::between(0, 4096)),
          Binding("train.precision", &train.precision,
                  "of the model's numbers; bf16: float32 with the operands of products in bfloat16")
              .among({"float32", "float64", "bf16"}),
          Binding("train.device", &train.device, "where to compute").among({"cpu", "cuda"}),
          Binding("train.initial_weights", &train.initial_weights,
                  "run directory or checkpoint to take trained weights from; empty: random ones")};
}

}  // namespace

std::vector<Binding> bindings(Config& config) {
  std::vector<Binding> all{Binding("seed", &config.seed, "seed of every random number in the run")
                               .within(Range::at_least(0))};
  const auto append = [&](const std::vector<Binding>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  append(data_bindings(config.data));
  append(model_bindings(config.model));
  append({Binding("decorrelation.preset", &config.decorrelation.preset,
                  "settings to start from; other keys come on top")
              .among(whitening::presets())
              .when({{"decorrelation.method", decorrelating_methods()}})});
  append(decorrelator_bindings(config.decorrelation.options, "decorrelation"));
  append(learning_bindings(config.learning));
  append(optimizer_bindings(config.optimizer));
  append(schedule_bindings(config.optimizer.schedule, "optimizer", "steps", false, {}));
  append(train_bindings(config.train));
  return all;
}

}  // namespace decorr::train
