#include "decorr/nn/fold.h"

#include "decorr/nn/convnet.h"
#include "decorr/nn/mlp.h"
#include "decorr/nn/recurrent.h"
#include "decorr/nn/resnet.h"
#include "decorr/nn/subtract_mean.h"
#include "decorr/nn/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/moduledict.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>

#include "tests/nn/convert_support.h"
#include <memory>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using whitening::DecorrelatorOptions;

std::vector<std::string> names_of(const torch::nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& item : module.named_parameters()) names.push_back(item.key());
  for (const auto& item : module.named_buffers()) names.push_back(item.key());
  return names;
}

// Settings of the decorrelation whose folding differs.
std::vector<DecorrelatorOptions> decorrelations() {
  std::vector<DecorrelatorOptions> all;
  for (const char* structure : {"full", "block(5)", "channel"})
    for (const char* pad : {"raw", "demeaned"}) {
      all.emplace_back();
      all.back().structure = structure;
      all.back().pad = pad;
    }
  all.push_back(with_method("standardize"));
  all.push_back(with_method("standardize"));
  all.back().structure = "channel";
  all.push_back(with_method("lateral"));
  all.push_back(with_method("none"));
  return all;
}

template <typename Conv, typename Plain, typename Options>
void check_conv(const Options& options, const DecorrelatorOptions& decorrelation,
                const at::Tensor& x) {
  Conv conv(typename std::decay_t<decltype(std::declval<Conv>()->options)>(options).decorrelation(
      decorrelation));
  conv->to(at::kDouble);
  conv->eval();
  const at::Tensor undisturbed = conv->forward(x);
  disturb(*conv);
  const at::Tensor expected = conv->forward(x);
  EXPECT_EQ(max_error(expected, undisturbed) > 0.1, decorrelation.method != "none");
  torch::nn::AnyModule plain = fold(conv);
  EXPECT_LE(max_error(plain.forward(x), expected), 1e-10 * expected.abs().max().item<double>());
  if (conv->geometry().padding_mode == "zeros") {  // LibTorch pads circularly in batches only
    EXPECT_LE(max_error(plain.forward(x[0]), expected[0]),
              1e-10 * expected.abs().max().item<double>());
  }
  const bool centred = std::dynamic_pointer_cast<CentredImpl>(plain.ptr()) != nullptr;
  EXPECT_EQ(centred, conv->centres_before_padding());
  EXPECT_TRUE(centred || std::dynamic_pointer_cast<Plain>(plain.ptr()));
  EXPECT_FALSE(plain.ptr()->is_training());
  EXPECT_TRUE(decorrelated_layers(*plain.ptr()).empty());
}

TEST(Fold, ConvolutionsOfEveryKind) {
  const at::Tensor images = correlated({2, 4, 7, 9}, 1);
  const at::Tensor signals = correlated({3, 4, 11}, 2);
  int index = 0;
  for (const DecorrelatorOptions& decorrelation : decorrelations()) {
    SCOPED_TRACE(decorrelation.method + " " + decorrelation.structure + " " + decorrelation.pad);
    index = 0;
    for (const auto& options : convolutions()) {
      SCOPED_TRACE(index++);
      check_conv<Conv2d, torch::nn::Conv2dImpl>(options, decorrelation, images);
    }
    for (const auto& options : convolutions_1d()) {
      SCOPED_TRACE(index++);
      check_conv<Conv1d, torch::nn::Conv1dImpl>(options, decorrelation, signals);
    }
  }
}

TEST(Fold, SamePaddingThatLibTorchGetsWrongIsGivenInNumbersOrRefused) {
  const auto padded = [](at::IntArrayRef kernel) {
    return Conv2d(torch::nn::Conv2dOptions(4, 6, {kernel[0], kernel[1]})
                      .padding(torch::kSame)
                      .padding_mode(torch::kReflect));
  };
  Conv2d odd = padded({3, 5});
  odd->eval();
  disturb(*odd);
  const at::Tensor x = correlated({2, 4, 7, 9}, 1).to(at::kFloat);
  EXPECT_LE(max_error(fold(odd).forward(x), odd(x)), 1e-4);
  Conv2d even = padded({2, 5});
  even->eval();
  EXPECT_THAT(message_of([&] { fold(even); }),
              HasSubstr("LibTorch does not pad an even kernel with \"same\" and mode reflect"));
}

TEST(Fold, LinearLayersOfEveryStructure) {
  const at::Tensor x = correlated({5, 3, 13}, 1);
  for (const DecorrelatorOptions& decorrelation : decorrelations())
    for (const bool bias : {true, false}) {
      SCOPED_TRACE(decorrelation.method + " " + decorrelation.structure);
      Linear layer(LinearOptions(13, 6).bias(bias).decorrelation(decorrelation));
      layer->to(at::kDouble);
      disturb(*layer);
      layer->eval();
      torch::nn::Linear plain = fold(layer);
      EXPECT_LE(max_error(plain(x), layer(x)), 1e-10);
      EXPECT_EQ(plain->bias.defined(), bias || decorrelation.method != "none");
      EXPECT_TRUE(plain->weight.requires_grad());
      EXPECT_EQ(plain->bias.defined() && plain->bias.requires_grad(), bias);
    }
}

TEST(Fold, Float32IsFoldedInFloat64) {
  Linear layer(200, 50);
  disturb(*layer);
  layer->eval();
  const at::Tensor x = correlated({64, 200}, 1).to(at::kFloat);
  const at::Tensor expected = layer(x);
  torch::nn::Linear plain = fold(layer);
  EXPECT_LE(max_error(plain(x), expected), 1e-5 * expected.abs().max().item<double>());
  EXPECT_EQ(plain->weight.scalar_type(), at::kFloat);
}

torch::nn::Sequential nested() {
  torch::nn::Sequential net;
  DecorrelatorOptions demeaned;
  demeaned.update_every = 1;
  demeaned.pad = "demeaned";
  net->push_back(
      "stem",
      Conv2d(Conv2dOptions(torch::nn::Conv2dOptions(2, 4, 3).padding(1)).decorrelation(demeaned)));
  net->push_back("act", torch::nn::ReLU());
  net->push_back("conv", Conv2d(Conv2dOptions(4, 3, 3)));
  net->push_back("head", Mlp(MlpOptions(3 * 3 * 3, {5}, 2).bias(false)));
  net->to(at::kDouble);
  disturb(*net);
  net->eval();
  return net;
}

TEST(Fold, SequentialKeepsNamesAndOtherModules) {
  torch::nn::Sequential net = nested();
  const at::Tensor x = correlated({4, 2, 5, 5}, 1);
  const at::Tensor expected = net->forward(x);
  const auto before = state_of(*net);
  torch::nn::Sequential plain = fold(net);
  EXPECT_LE(max_error(plain->forward(x), expected), 1e-10);
  EXPECT_THAT(names_of(*plain),
              ElementsAre("stem.1.weight", "stem.1.bias", "conv.weight", "conv.bias",
                          "head.layers.0.weight", "head.layers.1.weight", "stem.0.mean",
                          "head.layers.0.bias_offset", "head.layers.1.bias_offset"));
  EXPECT_EQ(plain->ptr(1), net->ptr(1));
  // The original is left alone.
  const auto after = state_of(*net);
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i].second, after[i].second)) << before[i].first;
  EXPECT_EQ(max_error(net->forward(x), expected), 0);
  // A clone of the plain model is whole and independent.
  const auto copy = std::dynamic_pointer_cast<torch::nn::SequentialImpl>(plain->clone());
  const at::Tensor folded = plain->forward(x);
  const at::NoGradGuard no_grad;
  for (at::Tensor& tensor : plain->parameters()) tensor.zero_();
  for (at::Tensor& tensor : plain->buffers()) tensor.zero_();
  EXPECT_TRUE(at::equal(copy->forward(x), folded));
}

TEST(Fold, ListsDictionariesAndSharedModules) {
  Linear first(6, 4), second(6, 5);
  torch::nn::ModuleList list(first, torch::nn::ReLU());
  torch::nn::ModuleDict dictionary;
  dictionary->update({{"list", list.ptr()}, {"own", second.ptr()}, {"again", first.ptr()}});
  disturb(*dictionary);
  dictionary->eval();
  torch::nn::ModuleDict plain = fold(dictionary);
  EXPECT_THAT(plain->keys(), ElementsAre("list", "own", "again"));
  const auto again = std::dynamic_pointer_cast<torch::nn::LinearImpl>((*plain)["again"]);
  ASSERT_TRUE(again);
  EXPECT_EQ(plain->at<torch::nn::ModuleListImpl>("list").ptr(0), again);
  const at::Tensor x = correlated({4, 6}, 1).to(at::kFloat);
  EXPECT_LE(max_error(again->forward(x), first(x)), 1e-5);
  EXPECT_LE(max_error(plain->at<torch::nn::LinearImpl>("own").forward(x), second(x)), 1e-5);
}

DecorrelationPlan demeaned_everywhere() {
  return [](const std::string& path) {
    DecorrelatorOptions options;
    options.update_every = 1;
    options.pad = "demeaned";
    options.structure = path.back() % 2 == 0 ? "full" : "block(4)";
    options.max_samples = 64;
    return options;
  };
}

std::vector<std::shared_ptr<Model>> models(bool bias) {
  const DecorrelationPlan plan = demeaned_everywhere();
  const ImageShape image{2, 12, 12};
  std::vector<std::shared_ptr<Model>> all{
      std::make_shared<MlpImpl>(MlpOptions(288, {7, 6}, 3).bias(bias).decorrelation(plan)),
      std::make_shared<ConvNetImpl>(
          ConvNetOptions(image, 3).conv_widths({4, 4}).dense_widths({6}).bias(bias).decorrelation(
              plan)),
      std::make_shared<ResNet18Impl>(
          ResNet18Options(2, 3).width(4).batch_norm(bias).decorrelation(plan))};
  if (bias) {
    all.push_back(std::make_shared<TransformerImpl>(
        TransformerOptions(image, 3).width(8).heads(2).depth(1).decorrelation(plan)));
    all.push_back(
        std::make_shared<RecurrentImpl>(RecurrentOptions(image, 3).width(5).decorrelation(plan)));
  }
  for (const auto& model : all) model->to(at::kDouble);
  return all;
}

TEST(Fold, ModelsAndBack) {
  const at::Tensor x = correlated({3, 2, 12, 12}, 1);
  for (const bool bias : {true, false})
    for (const std::shared_ptr<Model>& model : models(bias)) {
      SCOPED_TRACE(model->name());
      disturb(*model);
      model->forward(x);  // moves the statistics of batch normalization
      model->eval();
      const at::Tensor expected = model->forward(x);
      const double bound = 1e-10 * (1 + expected.abs().max().item<double>());
      const std::shared_ptr<Model> plain = fold(model);
      EXPECT_LE(max_error(plain->forward(x), expected), bound);
      EXPECT_FALSE(plain->is_training());
      for (const LocatedLayer& located : decorrelated_layers(*plain))
        EXPECT_FALSE(located.layer->decorrelator()->active());
      const auto copy = std::dynamic_pointer_cast<Model>(plain->clone());
      EXPECT_LE(max_error(copy->forward(x), expected), bound);

      const auto again = convert(plain, demeaned_everywhere());
      EXPECT_EQ(again.report.size(), decorrelated_layers(*model).size());
      EXPECT_LE(max_error(again.model->forward(x), expected), bound);
      disturb(*again.model);
      const at::Tensor disturbed = again.model->forward(x);
      EXPECT_LE(max_error(fold(again.model)->forward(x), disturbed),
                1e-10 * (1 + disturbed.abs().max().item<double>()));
    }
}

TEST(Fold, UndoesConversionBitForBit) {
  torch::nn::Sequential plain(torch::nn::Linear(6, 5), torch::nn::ReLU(),
                              torch::nn::Linear(torch::nn::LinearOptions(5, 2)));
  plain->eval();
  const auto back = fold(convert(plain).model);
  EXPECT_EQ(difference(*plain, *back), "");
  // With nothing to fold everything stays.
  EXPECT_EQ(fold(plain).ptr(), plain.ptr());
  const auto mlp = std::make_shared<MlpImpl>(
      MlpOptions(6, {4}, 3).decorrelation(everywhere(with_method("none"))));
  mlp->eval();
  EXPECT_EQ(fold(mlp), mlp);
}

class Typed : public torch::nn::Module {
 public:
  Linear fc = register_module("fc", Linear(4, 3));
};

TEST(Fold, RefusesByPath) {
  torch::nn::Sequential net = nested();
  net->ptr(2)->train();
  EXPECT_THAT(message_of([&] { fold(net); }), HasSubstr("[fold] \"conv\" is in training mode"));
  torch::nn::ModuleDict dictionary;
  dictionary->update({{"net", std::make_shared<Typed>()}});
  dictionary->eval();
  EXPECT_THAT(message_of([&] { fold(dictionary); }), HasSubstr("[fold] \"net.fc\" is a member of"));
  EXPECT_THAT(message_of([] { fold(std::shared_ptr<torch::nn::Module>()); }),
              HasSubstr("must be a module"));
  Conv2d conv(Conv2dOptions(4, 4, 3));
  conv->eval();
  EXPECT_THAT(message_of([&] { fold(conv.ptr()); }), HasSubstr("which this handle cannot hold"));
}

TEST(SubtractMean, SubtractsAChannelsMean) {
  SubtractMean layer(3, 2);
  layer->mean.copy_(at::tensor({1., 2., 3.}));
  const at::Tensor x = at::zeros({2, 3, 4, 5});
  EXPECT_TRUE(at::equal(layer(x)[1][2], at::full({4, 5}, -3.)));
  EXPECT_TRUE(at::equal(layer(x[0]), layer(x)[0]));
  const auto copy = std::dynamic_pointer_cast<SubtractMeanImpl>(layer->clone());
  layer->mean.zero_();
  EXPECT_TRUE(at::equal(copy->forward(x)[0][1], at::full({4, 5}, -2.)));
  EXPECT_THAT(message_of([&] {
                layer(at::zeros({2, 4, 4, 5}));
              }),
              HasSubstr("[SubtractMean] input must have 3 channels before its 2 spatial "
                        "dimensions, got [2, 4, 4, 5]"));
  EXPECT_THAT(message_of([&] { layer(at::zeros({3, 4})); }), HasSubstr("got [3, 4]"));
  EXPECT_THAT(message_of([] { SubtractMean(0, 2); }), HasSubstr("at least 1, got 0 and 2"));
}

}  // namespace
}  // namespace decorr::nn
