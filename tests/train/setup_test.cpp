#include "decorr/train/setup.h"

#include "decorr/io/atomic_file.h"
#include "decorr/nn/update.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <string>
#include <vector>

namespace decorr::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

data::Dataset images(std::int64_t count, std::int64_t channels, std::int64_t height,
                     std::int64_t width) {
  data::Dataset dataset;
  dataset.name = "toy";
  dataset.images = at::zeros({count, channels, height, width}, at::kByte);
  dataset.labels = at::zeros({count}, at::kLong);
  dataset.classes = {"a", "b", "c"};
  return dataset;
}

std::shared_ptr<nn::Model> model_of(const std::string& model, const data::Dataset& dataset,
                                    const std::vector<std::string>& overrides = {}) {
  return make_model(parse_config("[model]\n" + model, "a.toml", overrides), dataset);
}

std::string refusal(const std::string& model, const data::Dataset& dataset,
                    const std::vector<std::string>& overrides = {}) {
  try {
    model_of(model, dataset, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

at::IntArrayRef sizes_of(const nn::Model& model, const std::string& parameter) {
  return model.named_parameters()[parameter].sizes();
}

// A data set in the format of MNIST: 3 images to train, 1 to test, 6 x 6 pixels of 0 and 51.
std::string mnist_files(const testing_support::TemporaryFolder& folder) {
  const auto write = [&](const std::string& prefix, char count) {
    const std::string number{'\0', '\0', '\0', count};
    std::string images = std::string("\0\0\x08\x03", 4) + number;
    for (int side = 0; side < 2; ++side) images += std::string("\0\0\0\x06", 4);
    for (int i = 0; i < count * 18; ++i) images += std::string("\0\x33", 2);
    io::write_file_atomically(folder / (prefix + "-images-idx3-ubyte"), images);
    io::write_file_atomically(
        folder / (prefix + "-labels-idx1-ubyte"),
        std::string("\0\0\x08\x01", 4) + number + std::string(static_cast<std::size_t>(count), 1));
  };
  write("train", 3);
  write("t10k", 1);
  return folder.path().string();
}

TEST(LoadDatasets, MeanAndStdAreGivenOrMeasured) {
  const testing_support::TemporaryFolder folder;
  const std::string root = "data.root=" + mnist_files(folder);
  const auto load = [&](const std::string& keys) {
    return load_datasets(parse_config("[data]\nname = \"mnist\"\n" + keys, "a.toml", {root}))
        .normalization;
  };
  const data::Normalization measured = load("");
  EXPECT_THAT(measured.mean, ElementsAre(testing::DoubleNear(0.1, 1e-12)));
  EXPECT_THAT(measured.std, ElementsAre(testing::DoubleNear(0.1, 1e-12)));
  const data::Normalization given = load("mean = [0.25]\nstd = [2]");
  EXPECT_THAT(given.mean, ElementsAre(0.25));
  EXPECT_THAT(given.std, ElementsAre(2.0));
  const data::Normalization half = load("std = [2]");
  EXPECT_EQ(half.mean, measured.mean);
  EXPECT_THAT(half.std, ElementsAre(2.0));
  EXPECT_THAT(load("normalize = false").mean, testing::IsEmpty());
  try {
    load("mean = [0.5, 0.25, 0.125]");
    FAIL() << "accepted three means for one channel";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "data.mean must have a number for each channel of mnist, 1, got 3, data.mean = "
                 "[0.5, 0.25, 0.125], give 1 of them, or data.mean = [] to measure");
  }
}

TEST(InputShape, FollowsTheCrop) {
  const data::Dataset dataset = images(4, 3, 9, 6);
  Config config = parse_config("[data]\ncrop_size = 5", "a.toml");
  const nn::ImageShape shape = input_shape(config, dataset);
  EXPECT_EQ(shape.channels, 3);
  EXPECT_EQ(shape.height, 5);
  EXPECT_EQ(shape.width, 5);
  const auto model = model_of("hidden = [7]", dataset, {"data.crop_size=5"});
  EXPECT_EQ(sizes_of(*model, "layers.0.weight"), (at::IntArrayRef{7, 75}));
  for (const auto& options : {training_loader(config, {}), evaluation_loader(config, {})}) {
    data::Loader loader(dataset, options);
    loader.start(0);
    data::Batch batch;
    ASSERT_TRUE(loader.next(batch));
    EXPECT_EQ(model->forward(batch.input).sizes(), (at::IntArrayRef{4, 3}));
  }
  EXPECT_FALSE(training_loader(config, {}).augment().centre_crop);
  EXPECT_TRUE(evaluation_loader(config, {}).augment().centre_crop);
  EXPECT_EQ(refusal("hidden = []", dataset, {"data.crop_size=7"}),
            "images of toy are 9 x 6, too small for crops of 7 x 7, data.crop_size = 7, set it to "
            "6 or less, or 0 for whole images");
}

TEST(MakeModel, EveryTypeTakesTheImages) {
  const data::Dataset dataset = images(4, 2, 9, 6);
  const at::Tensor x = at::rand({4, 2, 9, 6}, at::kDouble);
  for (const std::string keys : {"\"mlp\"", "\"convnet\"\ndense_widths = [8]",
                                 "\"resnet18\"\nwidth = 4", "\"transformer\"", "\"recurrent\""}) {
    SCOPED_TRACE(keys);
    const auto build = [&](const std::string& seed) {
      return model_of("type = " + keys, dataset, {"train.precision=float64", "seed=" + seed});
    };
    const auto model = build("3");
    const at::Tensor output = model->forward(x);
    EXPECT_EQ(output.sizes(), (at::IntArrayRef{4, 3}));
    EXPECT_TRUE(at::equal(build("3")->forward(x), output));
    EXPECT_FALSE(at::equal(build("4")->forward(x), output));
    for (const nn::LocatedLayer& located : nn::decorrelated_layers(*model))
      EXPECT_TRUE(located.layer->decorrelator()->active()) << located.path;
  }
}

TEST(MakeModel, SettingsReachTheModel) {
  const data::Dataset dataset = images(4, 2, 9, 6);
  const auto mlp = model_of("hidden = [7]\nbias = false", dataset);
  EXPECT_EQ(mlp->parameters().size(), 2U);
  EXPECT_EQ(sizes_of(*mlp, "layers.0.weight"), (at::IntArrayRef{7, 108}));
  const auto convnet = model_of(
      "type = \"convnet\"\nconv_widths = [5, 4]\ndense_widths = [7]\nbias = false", dataset);
  EXPECT_EQ(convnet->parameters().size(), 4U);
  EXPECT_EQ(sizes_of(*convnet, "convolutions.1.weight"), (at::IntArrayRef{4, 5, 3, 3}));
  EXPECT_EQ(sizes_of(*convnet, "dense.0.weight"), (at::IntArrayRef{7, 4 * 4 * 3}));
  const auto resnet = model_of("type = \"resnet18\"\nwidth = 4\nbatch_norm = false", dataset);
  EXPECT_EQ(sizes_of(*resnet, "stem.weight"), (at::IntArrayRef{4, 2, 3, 3}));
  EXPECT_EQ(sizes_of(*resnet, "stem.bias"), (at::IntArrayRef{4}));
  const auto transformer =
      model_of("type = \"transformer\"\nwidth = 6\ndepth = 1\nheads = 3", dataset);
  EXPECT_EQ(sizes_of(*transformer, "blocks.0.qkv.weight"), (at::IntArrayRef{18, 6}));
  EXPECT_FALSE(transformer->named_parameters().contains("blocks.1.qkv.weight"));
  const auto recurrent = model_of("type = \"recurrent\"\nwidth = 5", dataset);
  EXPECT_EQ(sizes_of(*recurrent, "hidden.weight"), (at::IntArrayRef{15, 5}));
}

TEST(MakeModel, ActivationReachesTheModel) {
  const data::Dataset dataset = images(4, 1, 4, 4);
  const at::Tensor x = at::rand({4, 1, 4, 4});
  for (const std::string type : {"mlp", "convnet"}) {
    const std::string keys = "type = \"" + type + "\"\nactivation = ";
    const at::Tensor relu = model_of(keys + "\"relu\"", dataset)->forward(x);
    EXPECT_FALSE(at::equal(model_of(keys + "\"tanh\"", dataset)->forward(x), relu)) << type;
  }
}

TEST(MakeModel, LayerPatternsSelectLayers) {
  const std::string layers =
      "type = \"convnet\"\n[[decorrelation.layers]]\npattern = \"convolutions.*\"\nmethod = "
      "\"none\"";
  const auto model = model_of(layers, images(4, 1, 4, 4));
  std::vector<bool> active;
  for (const nn::LocatedLayer& located : nn::decorrelated_layers(*model))
    active.push_back(located.layer->decorrelator()->active());
  EXPECT_THAT(active, ElementsAre(false, false, false, false, true, true));
  EXPECT_THAT(refusal("type = \"recurrent\"\n[[decorrelation.layers]]\npattern = \"layers.*\"\n"
                      "method = \"none\"",
                      images(4, 1, 4, 4)),
              HasSubstr("the layers are input hidden head"));
}

TEST(MakeModel, ImagesThatAreTooSmallAreTheConfigurationsFault) {
  EXPECT_EQ(refusal("type = \"convnet\"", images(4, 1, 28, 3)),
            "[ConvNet] images must be at least 4 x 4 for 4 convolutions, got 28 x 3, model.type = "
            "\"convnet\", change [model], or take other data than toy");
  EXPECT_EQ(refusal("type = \"convnet\"\nconv_widths = [4, 4]", images(4, 1, 28, 3)), "accepted");
  EXPECT_THAT(refusal("type = \"convnet\"\nconv_widths = []", images(4, 1, 28, 28)),
              HasSubstr("needs at least one convolution"));
  EXPECT_THAT(refusal("type = \"transformer\"\nheads = 5", images(4, 1, 28, 28)),
              AllOf(HasSubstr("heads must divide the width, got 5 heads and width 64"),
                    HasSubstr("model.type = \"transformer\"")));
}

TEST(MakeModel, BatchNormNeedsMoreThanOnePixel) {
  const std::string resnet = "type = \"resnet18\"\nwidth = 4";
  EXPECT_EQ(refusal(resnet, images(65, 1, 8, 8), {"train.batch_size=64"}),
            "batch normalization cannot train on a batch of one image of 8 x 8, model.batch_norm = "
            "true, set data.drop_last = true, or another train.batch_size");
  EXPECT_THAT(refusal(resnet, images(64, 1, 8, 8), {"train.batch_size=1", "train.accumulate=2"}),
              HasSubstr("raise train.batch_size"));
  EXPECT_EQ(refusal(resnet, images(65, 1, 9, 8), {"train.batch_size=64"}), "accepted");
  EXPECT_EQ(refusal(resnet, images(66, 1, 8, 8), {"train.batch_size=64"}), "accepted");
  EXPECT_EQ(refusal(resnet, images(65, 1, 8, 8), {"train.batch_size=64", "data.drop_last=true"}),
            "accepted");
  EXPECT_EQ(refusal(resnet + "\nbatch_norm = false", images(65, 1, 8, 8), {"train.batch_size=64"}),
            "accepted");
  for (const char* type : {"mlp", "convnet"}) {
    const std::string model = fmt::format("type = \"{}\"\nbatch_norm = true", type);
    EXPECT_THAT(refusal(model, images(65, 1, 8, 8), {"train.batch_size=64"}),
                HasSubstr("batch normalization cannot train on a batch of one image"));
    EXPECT_EQ(refusal(model, images(66, 1, 8, 8), {"train.batch_size=64"}), "accepted");
  }
  EXPECT_EQ(refusal("type = \"mlp\"\nbatch_norm = true\nhidden = []", images(65, 1, 8, 8),
                    {"train.batch_size=64"}),
            "accepted");
}

TEST(MakeModel, BatchNormIsTheDefaultOfResNetAlone) {
  const auto buffers = [](const std::string& model) {
    return model_of(model + "\n[decorrelation]\nmethod = \"none\"", images(4, 1, 9, 9))
        ->buffers()
        .size();
  };
  EXPECT_GT(buffers("type = \"resnet18\"\nwidth = 4"), 0U);
  EXPECT_EQ(buffers("type = \"resnet18\"\nwidth = 4\nbatch_norm = false"), 0U);
  EXPECT_EQ(buffers("type = \"mlp\""), 0U);
  EXPECT_EQ(buffers("type = \"mlp\"\nhidden = [4, 4]\nbatch_norm = true"), 6U);
  EXPECT_EQ(buffers("type = \"convnet\""), 0U);
  EXPECT_EQ(buffers("type = \"convnet\"\nbatch_norm = true"), 15U);
}

}  // namespace
}  // namespace decorr::train
