#include "decorr/nn/convert.h"

#include "decorr/nn/mlp.h"
#include "decorr/optim/adam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/moduledict.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include "tests/nn/convert_support.h"
#include <memory>

namespace decorr::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using whitening::DecorrelatorOptions;

std::vector<std::string> parameter_names(const torch::nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& item : module.named_parameters()) names.push_back(item.key());
  return names;
}

// Path and outcome of each entry: "fc+" converted, "fc-" kept.
std::vector<std::string> outcomes(const std::vector<LayerConversion>& report) {
  std::vector<std::string> result;
  for (const LayerConversion& entry : report) {
    result.push_back(entry.path + (entry.converted ? "+" : "-"));
    EXPECT_EQ(entry.converted, entry.reason.empty());
  }
  return result;
}

std::string reason_of(const std::vector<LayerConversion>& report, const std::string& path) {
  for (const LayerConversion& entry : report)
    if (entry.path == path) return entry.type + ": " + entry.reason;
  return "not reported";
}

TEST(Convert, ALinearLayerByItself) {
  for (const bool bias : {true, false}) {
    torch::nn::Linear plain(torch::nn::LinearOptions(7, 5).bias(bias));
    plain->to(at::kDouble);
    if (bias) plain->bias.set_requires_grad(false);
    plain->eval();
    auto [layer, report] = convert(plain);
    EXPECT_THAT(outcomes(report), ElementsAre("+"));
    const at::Tensor x = correlated({3, 4, 7}, 1);
    EXPECT_LE(max_error(layer(x), plain(x)), 1e-14);
    EXPECT_TRUE(at::equal(layer->weight, plain->weight));
    EXPECT_NE(layer->weight.data_ptr(), plain->weight.data_ptr());
    EXPECT_EQ(layer->bias.defined(), bias);
    EXPECT_FALSE(bias && layer->bias.requires_grad());
    EXPECT_FALSE(layer->is_training());
    EXPECT_EQ(layer->decorrelator()->matrix().scalar_type(), at::kDouble);
    EXPECT_EQ(layer->named_buffers()["decorrelator.counters"].scalar_type(), at::kLong);
  }
}

TEST(Convert, ConvolutionsOfEveryKind) {
  const at::Tensor images = correlated({2, 4, 7, 9}, 1), signals = correlated({3, 4, 11}, 2);
  for (const char* structure : {"full", "block(5)", "channel"})
    for (const char* pad : {"raw", "demeaned"}) {
      DecorrelatorOptions options;
      options.update_every = 1;
      options.structure = structure;
      options.pad = pad;
      int index = 0;
      const auto check = [&](auto plain, const at::Tensor& x) {
        SCOPED_TRACE(index++);
        plain->to(at::kDouble);
        auto layer = convert(plain, options).model;
        EXPECT_LE(max_error(layer(x), plain(x)), 1e-13);
        EXPECT_TRUE(layer->decorrelator()->active());
        EXPECT_THAT(parameter_names(*layer), parameter_names(*plain));
      };
      for (const auto& conv : convolutions()) check(torch::nn::Conv2d(conv), images);
      for (const auto& conv : convolutions_1d()) check(torch::nn::Conv1d(conv), signals);
    }
  torch::nn::Sequential wrong(torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 4, {2, 5})
                                                    .padding(torch::kSame)
                                                    .padding_mode(torch::kReflect)),
                              torch::nn::Linear(3, 3));
  EXPECT_THAT(reason_of(convert(wrong).report, "0"),
              HasSubstr("torch::nn::Conv2d: LibTorch pads it in the wrong order"));
}

torch::nn::Sequential plain_network() {
  torch::nn::Sequential net;
  net->push_back("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 4, 3).padding(1)));
  net->push_back("norm", torch::nn::BatchNorm2d(4));
  net->push_back("act", torch::nn::ReLU());
  net->push_back("mlp",
                 Mlp(MlpOptions(100, {6}, 3).decorrelation(everywhere(with_method("none")))));
  net->push_back("head", torch::nn::Linear(3, 3));
  net->to(at::kDouble);
  return net;
}

TEST(Convert, NestedContainersKeepNamesModesAndOtherModules) {
  torch::nn::Sequential plain = plain_network();
  plain->ptr(1)->eval();
  torch::nn::Linear shared(3, 2);
  torch::nn::ModuleDict model;
  model->update({{"net", plain.ptr()},
                 {"list", torch::nn::ModuleList(shared, torch::nn::ReLU()).ptr()},
                 {"again", shared.ptr()}});
  const auto before = state_of(*model);
  std::vector<std::string> asked;
  auto [converted, report] = convert(model, [&](const std::string& path) {
    asked.push_back(path);
    return with_method(path == "net.head" ? "standardize" : "copi");
  });
  EXPECT_THAT(
      asked, ElementsAre("net.conv", "net.mlp.layers.0", "net.mlp.layers.1", "net.head", "list.0"));
  EXPECT_THAT(outcomes(report), ElementsAre("net.conv+", "net.mlp.layers.0+", "net.mlp.layers.1+",
                                            "net.head+", "list.0+"));
  EXPECT_EQ(parameter_names(*converted), parameter_names(*model));
  auto& net = converted->at<torch::nn::SequentialImpl>("net");
  const at::Tensor x = correlated({4, 2, 5, 5}, 1);
  EXPECT_LE(max_error(net.forward(x), plain->forward(x)), 1e-13);
  EXPECT_EQ(net.ptr(1), plain->ptr(1));
  EXPECT_FALSE(net.ptr(1)->is_training());
  EXPECT_TRUE(net.ptr(0)->is_training() && net.is_training());
  EXPECT_EQ(net.at<LinearImpl>(4).decorrelator()->options().method, "standardize");
  EXPECT_EQ(converted->at<torch::nn::ModuleListImpl>("list").ptr(0), (*converted)["again"]);
  EXPECT_TRUE(std::dynamic_pointer_cast<LinearImpl>((*converted)["again"]));
  EXPECT_THAT(to_string(report),
              HasSubstr("net.head (torch::nn::Linear): converted\nlist.0 (torch::nn::Linear): "
                        "converted\n5 of 5 converted\n"));
  const auto after = state_of(*model);  // the original's weights are left alone
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(before[i].first.find("norm") != std::string::npos ||
                at::equal(before[i].second, after[i].second))
        << before[i].first;
}

// A class whose member has a fixed type.
class Typed : public torch::nn::Module {
 public:
  torch::nn::Linear fc = register_module("fc", torch::nn::Linear(4, 3));
  Linear mine = register_module("mine", Linear(4, 3));
};

TEST(Convert, ReportsWhatItCannotReplaceAndWhatToDo) {
  torch::nn::Linear frozen(3, 3), half(3, 3), tied(3, 8), good(3, 3);
  frozen->weight.set_requires_grad(false);
  half->to(at::kHalf);
  torch::nn::Embedding embedding(8, 3);
  tied->weight.set_data(embedding->weight);
  torch::nn::ModuleDict model;
  model->update({{"typed", std::make_shared<Typed>()},
                 {"frozen", frozen.ptr()},
                 {"half", half.ptr()},
                 {"embedding", embedding.ptr()},
                 {"tied", tied.ptr()},
                 {"up", torch::nn::ConvTranspose2d(2, 2, 3).ptr()},
                 {"pair", torch::nn::Bilinear(2, 2, 3).ptr()},
                 {"attention", torch::nn::MultiheadAttention(4, 2).ptr()},
                 {"norm", torch::nn::BatchNorm1d(3).ptr()},
                 {"good", good.ptr()}});
  const auto [converted, report] = convert(model);
  EXPECT_THAT(outcomes(report),
              ElementsAre("typed.fc-", "typed.mine-", "frozen-", "half-", "embedding-", "tied-",
                          "up-", "pair-", "attention-", "attention.out_proj-", "good+"));
  EXPECT_THAT(reason_of(report, "typed.fc"),
              HasSubstr("declare it there as decorr::nn::Linear, built with "
                        "decorr::nn::LinearOptions(4, 3).decorrelation(...)"));
  EXPECT_THAT(reason_of(report, "typed.mine"), HasSubstr("decorrelated already"));
  EXPECT_THAT(reason_of(report, "frozen"), HasSubstr("weights are frozen"));
  EXPECT_THAT(reason_of(report, "half"), HasSubstr("its weights are Half"));
  EXPECT_THAT(reason_of(report, "tied"), HasSubstr("\"embedding.weight\" is \"tied.weight\""));
  EXPECT_THAT(reason_of(report, "up"),
              HasSubstr("torch::nn::ConvTranspose2d: it has no decorrelated counterpart"));
  for (const char* kept : {"typed", "frozen", "half", "embedding", "tied", "up", "attention"})
    EXPECT_EQ((*converted)[kept], (*model)[kept]) << kept;

  // Frozen weights are in nobody's way if they need not follow R.
  DecorrelatorOptions options;
  options.update_every = 1;
  options.function_preserving = false;
  auto layer = convert(frozen, options).model;
  EXPECT_FALSE(layer->weight.requires_grad());
  layer(correlated({8, 3}, 1).to(at::kFloat));
  EXPECT_NO_THROW(update(*layer));
}

TEST(Convert, DecorrelatedLayersKeepTheirState) {
  const auto plan = [](const std::string& path) {
    return with_method(path == "layers.0" ? "copi" : "none");
  };
  Mlp model(MlpOptions(6, {5}, 3).bias(false).decorrelation(plan));
  model->to(at::kDouble);
  disturb(*model);
  const at::Tensor x = correlated({9, 6}, 1);
  auto [converted, report] = convert(model, with_method("zca"));
  EXPECT_THAT(outcomes(report), ElementsAre("layers.0-", "layers.1+"));
  EXPECT_LE(max_error(converted(x), model(x)), 1e-13);
  EXPECT_TRUE(at::equal(converted->named_buffers()["layers.0.decorrelator.matrix"],
                        model->named_buffers()["layers.0.decorrelator.matrix"]));
  std::vector<std::string> methods;
  for (const LocatedLayer& located : decorrelated_layers(*converted))
    methods.push_back(located.layer->decorrelator()->options().method);
  EXPECT_THAT(methods, ElementsAre("copi", "zca"));
  // Once more there is nothing to do.
  const auto again = convert(converted);
  EXPECT_EQ(again.model.ptr(), converted.ptr());
  EXPECT_THAT(outcomes(again.report), ElementsAre("layers.0-", "layers.1-"));

  // A layer of decorr::nn without a method gets one.
  Linear none(LinearOptions(4, 2).decorrelation(with_method("none")));
  auto layer = convert(none).model;
  EXPECT_TRUE(layer->decorrelator()->active());
  EXPECT_TRUE(at::equal(layer->weight, none->weight));
}

TEST(Convert, TwoLayersOfOneWeightStayPlain) {
  torch::nn::Linear first(4, 4), second(4, 4);
  second->weight.set_data(first->weight);
  torch::nn::Sequential model(first, second, torch::nn::Linear(4, 2));
  const auto [converted, report] = convert(model);
  EXPECT_THAT(outcomes(report), ElementsAre("0-", "1-", "2+"));
  EXPECT_EQ(converted->ptr(0), model->ptr(0));
}

TEST(Convert, RefusesBadArguments) {
  torch::nn::Sequential none(torch::nn::ReLU(), torch::nn::Embedding(3, 2));
  EXPECT_THAT(message_of([&] { convert(none); }),
              HasSubstr("[convert] the model has no layer that can be converted"));
  EXPECT_THAT(message_of([&] { convert(none); }), HasSubstr("1 (torch::nn::Embedding): kept"));
  EXPECT_THAT(message_of([] { convert(torch::nn::Linear(nullptr)); }),
              HasSubstr("must be a module, got an empty pointer"));
  torch::nn::Sequential net(torch::nn::ReLU(), torch::nn::Linear(3, 2));
  EXPECT_THAT(message_of([&] { convert(net, with_method("magic")); }), HasSubstr("[convert 1] "));
  EXPECT_THAT(message_of([&] { convert(net, DecorrelationPlan()); }),
              HasSubstr("the plan must be a function"));
}

at::Tensor loss_of(torch::nn::SequentialImpl& net, std::uint64_t stream) {
  const at::Tensor x = correlated({16, 2, 5, 5}, stream);
  return (net.forward(x) - x.mean({2, 3}).sum(1, true)).square().mean();
}

void step(torch::nn::SequentialImpl& net, optim::Optimizer& optimizer, std::uint64_t stream) {
  loss_of(net, stream).backward();
  optimizer.step(1e-2);
  optimizer.zero_grad();
  update(net, optimizer);
}

TEST(Convert, TrainsOnPreservesItsFunctionAndRestores) {
  for (const char* method : {"norm-preserving", "zca"}) {
    SCOPED_TRACE(method);
    DecorrelatorOptions options = with_method(method);
    options.refresh_every = 2;
    const auto make = [&] {
      at::manual_seed(1);  // of LibTorch's own initial weights
      return convert(plain_network(), options, 5).model;
    };
    torch::nn::Sequential net = make();
    optim::Adam optimizer(optim::named_parameters(*net));
    const double before = loss_of(*net, 99).item<double>();
    for (std::uint64_t i = 100; i < 160; ++i) step(*net, optimizer, i);
    EXPECT_LT(loss_of(*net, 99).item<double>(), before / 2);

    // R has moved, and an update changes no output.
    const at::Tensor x = correlated({4, 2, 5, 5}, 200);
    loss_of(*net, 8);
    net->eval();
    const at::Tensor expected = net->forward(x);
    for (const LayerUpdate& layer : update(*net))
      EXPECT_EQ(layer.report.outcome, whitening::UpdateReport::Outcome::kApplied) << layer.path;
    EXPECT_LE(max_error(net->forward(x), expected), 1e-10);
    net->train();
    const auto matrix = net->named_buffers()["conv.decorrelator.matrix"];
    EXPECT_GT(max_error(matrix, at::eye(18, kFloat64)), 1e-4);

    // What is restored into a newly converted network goes on alike; a clone stays behind.
    torch::nn::Sequential restored = make();
    copy_state(*net, *restored);
    const auto copy = net->clone();
    const auto frozen = state_of(*copy);
    optim::Adam ours(optim::named_parameters(*net)), theirs(optim::named_parameters(*restored));
    for (std::uint64_t i = 30; i < 33; ++i) {
      step(*net, ours, i);
      step(*restored, theirs, i);
    }
    EXPECT_EQ(difference(*net, *restored), "");
    const auto still = state_of(*copy);
    for (std::size_t i = 0; i < frozen.size(); ++i)
      EXPECT_TRUE(at::equal(frozen[i].second, still[i].second)) << frozen[i].first;
  }
}

TEST(Convert, ErrorsOfLayersNameTheirPath) {
  torch::nn::Sequential model =
      convert(torch::nn::Sequential(torch::nn::Linear(4, 3), torch::nn::Linear(3, 2))).model;
  EXPECT_EQ(message_of([&] {
              model->forward(at::ones({2, 5}));
            }),
            "[Linear 0] input must be [.., 4], got [2, 5]");
  DecorrelatorOptions wrong = with_method("dbp");
  wrong.kappa = 2;
  const DecorrelationPlan plan = [&](const std::string& path) {
    return path == "layers.1" ? wrong : DecorrelatorOptions();
  };
  EXPECT_EQ(message_of([&] { Mlp(MlpOptions(4, {3}, 2).decorrelation(plan)); }),
            "[Linear layers.1] [Decorrelator] kappa must be in [0, 1], got 2");
}

}  // namespace
}  // namespace decorr::nn
