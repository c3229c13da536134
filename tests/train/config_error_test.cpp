#include "decorr/train/config.h"
#include "decorr/train/nearest_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace decorr::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The message that refuses `text` with `overrides`.
std::string error(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_config(text, "a.toml", overrides);
  } catch (const ConfigError& refused) {
    EXPECT_THAT(refused.what(), Not(HasSubstr("\n")));
    return refused.what();
  }
  return "accepted";
}

TEST(ConfigError, DecorrelationSettingsOutOfRangeAreRefused) {
  EXPECT_EQ(error("[decorrelation]\nmethod = \"dbp\"\nkappa = 1.5"),
            "\"decorrelation.kappa\" must be in [0, 1], got 1.5, a.toml:3, write a value such as "
            "0.5");
  EXPECT_THAT(error("[decorrelation]\nkappa = 0.5"),
              HasSubstr("\"decorrelation.kappa\" has no effect with decorrelation.method = "
                        "\"norm-preserving\", a.toml:2"));
  EXPECT_THAT(error("[decorrelation]\nmethod = \"zca\"\nlr = 0.1"),
              HasSubstr("\"decorrelation.lr\" has no effect"));
  for (const char* structure : {"blocks", "block(0)", "block(-1)", "block()", "block(3"})
    EXPECT_THAT(
        error(fmt::format("[decorrelation]\nstructure = \"{}\"", structure)),
        HasSubstr(fmt::format("got \"{}\", a.toml:2, write a value such as \"full\"", structure)));
  EXPECT_THAT(error("[decorrelation]\nmethod = \"pca\"\nrefresh_every = 0"),
              HasSubstr("\"decorrelation.refresh_every\" must be at least 1, got 0, a.toml:3"));
}

TEST(ConfigError, SettingsOfTheDataThatCannotBe) {
  EXPECT_EQ(error("[data]\npreset = \"published\"\nname = \"mnist\""),
            "data.name = \"mnist\" has no preset \"published\", a.toml:2, set data.preset = "
            "\"none\"; the data sets that have one are cifar10, cifar100, tiny-imagenet");
  EXPECT_THAT(error("[data]\npreset = \"publshed\""), HasSubstr("did you mean \"published\"?"));
  EXPECT_EQ(error("[data]\nnormalize = false\nmean = [0.5]"),
            "\"data.mean\" has no effect with data.normalize = false, a.toml:3, remove it or set "
            "data.normalize = true");
  EXPECT_EQ(error("[data]\nstd = [0.5, 0]"),
            "each number in \"data.std\" must be greater than 0, got 0, a.toml:2, write a value "
            "such as [0.5, 0.5, 0.5]");
  EXPECT_EQ(error("[data]\nmean = [0.5, \"a\"]"),
            "\"data.mean\" must be a list of floats, got the string \"a\", a.toml:2, write a list "
            "of floats such as [0.5, 0.5, 0.5]");
  EXPECT_THAT(error("[data]\nmean = 0.5"), HasSubstr("got the float 0.5"));
  EXPECT_THAT(error("[data]\nmean = [nan]"), HasSubstr("must be finite"));
  EXPECT_THAT(error("[data]\ncrop_size = -1"), HasSubstr("must be at least 0, got -1"));
}

TEST(ConfigError, UnknownKeysNameTheNearest) {
  EXPECT_EQ(error("\n\noptimiser.lr = 1"),
            "unknown key \"optimiser.lr\", a.toml:3, did you mean \"optimizer.lr\"?");
  EXPECT_EQ(error("[train]\nbatchsize = 3"),
            "unknown key \"train.batchsize\", a.toml:2, did you mean \"train.batch_size\"?");
  EXPECT_EQ(error("[train]\nlr = 3"),
            "unknown key \"train.lr\", a.toml:2, did you mean \"optimizer.lr\"?");
  EXPECT_EQ(error("sede = 3"), "unknown key \"sede\", a.toml:1, did you mean \"seed\"?");
  EXPECT_EQ(error("epochs = 3"),
            "unknown key \"epochs\", a.toml:1, did you mean \"train.epochs\"?");
  EXPECT_THAT(error("[data]\nqqqqqqqqqq = 3"), HasSubstr("a.toml:2, the nearest known key is \""));
  EXPECT_THAT(error("[data]\n\"a\\nb\" = 3"),
              HasSubstr("unknown key \"data.a\\u000Ab\", a.toml:2"));
}

TEST(ConfigError, TheFirstUnknownKeyInTheTextIsReported) {
  EXPECT_THAT(error("[train]\nzzz = 1\naaa = 1"), HasSubstr("\"train.zzz\", a.toml:2"));
}

TEST(ConfigError, UnknownTables) {
  EXPECT_EQ(error("[optimiser]\nlr = 1"),
            "unknown table [optimiser], a.toml:1, did you mean [optimizer]?");
  EXPECT_EQ(error("\n[optimiser]\n"),
            "unknown table [optimiser], a.toml:2, did you mean [optimizer]?");
  EXPECT_EQ(error("[[trains]]\nepochs = 1"),
            "unknown table [trains], a.toml:1, did you mean [train]?");
  EXPECT_THAT(error("[qqqqqqqqqqq]"), HasSubstr("use one of [data] [model] [decorrelation]"));
  EXPECT_THAT(error("[[train]]\nepochs = 1"),
              StartsWith("[train] must be one table, got a list, a.toml:1, "));
  EXPECT_THAT(error("train = 3"),
              StartsWith("[train] must be one table, got the integer 3, a.toml:1"));
  EXPECT_THAT(error("train = 3", {"train.epochs=3"}), HasSubstr("got the integer 3, a.toml:1"));
  EXPECT_THAT(error("\n[qqqqq.rrrr]\nx = 1"), HasSubstr("a.toml:2"));
}

TEST(ConfigError, QuotedDotsAreNoPath) {
  EXPECT_THAT(error("\"optimizer.lr\" = 3"), HasSubstr("a.toml:1, remove the quotes"));
  EXPECT_THAT(error("[decorrelation]\n\"layers.lr\" = 3"),
              HasSubstr("a.toml:2, remove the quotes"));
}

TEST(ConfigError, WrongTypes) {
  EXPECT_EQ(
      error("[optimizer]\nlr = \"fast\""),
      "\"optimizer.lr\" must be a float, got the string \"fast\", a.toml:2, write a float such "
      "as 0.001");
  EXPECT_EQ(
      error("[train]\nepochs = 2.5"),
      "\"train.epochs\" must be an integer, got the float 2.5, a.toml:2, write an integer such "
      "as 10");
  EXPECT_THAT(error("[train]\nepochs = 2.0"), HasSubstr("got the float 2.0"));
  EXPECT_THAT(
      error("[data]\nflip = 1"),
      HasSubstr("must be a boolean, got the integer 1, a.toml:2, write a boolean such as false"));
  EXPECT_THAT(error("[optimizer]\ntype = 3"),
              HasSubstr("must be a string, got the integer 3, a.toml:2, write a string in quotes "
                        "such as \"adam\""));
  EXPECT_THAT(error("[model]\nhidden = 3"),
              HasSubstr("must be a list of integers, got the integer 3"));
  EXPECT_THAT(error("[model]\nhidden = [\n10,\n\"a\"]"),
              HasSubstr("got the string \"a\", a.toml:4"));
  EXPECT_THAT(error("seed = 1979-05-27"), HasSubstr("got a date, a.toml:1"));
  EXPECT_THAT(error("seed.x = 1"), HasSubstr("\"seed\" must be an integer, got a table, a.toml:1"));
  EXPECT_THAT(error("[train]\nepochs = true"), HasSubstr("got the boolean true"));
  EXPECT_THAT(error("[data]\nflip = \"" + std::string(5000, 'x') + "\"").size(), testing::Lt(300));
}

TEST(ConfigError, OutOfRange) {
  EXPECT_EQ(
      error("[model]\nhidden = [256, -1]"),
      "each number in \"model.hidden\" must be in [1, 1000000], got -1, a.toml:2, write a value "
      "such as [256, 256]");
  EXPECT_THAT(error("[model]\nhidden = [1000001]"), HasSubstr("got 1000001"));
  EXPECT_EQ(error("[optimizer]\nlr = nan"),
            "\"optimizer.lr\" must be finite and greater than 0, got nan, a.toml:2, write a value "
            "such as 0.001");
  EXPECT_THAT(error("[optimizer]\nlr = inf"),
              HasSubstr("must be finite and greater than 0, got inf"));
  EXPECT_THAT(error("[optimizer]\nlr = 0"), HasSubstr("must be greater than 0, got 0,"));
  EXPECT_THAT(error("[optimizer]\nbeta2 = 1"), HasSubstr("must be in [0, 1), got 1,"));
  EXPECT_THAT(error("[optimizer]\nclip_norm = inf"),
              HasSubstr("must be finite and at least 0, got inf"));
  EXPECT_THAT(error("[decorrelation]\nsample_fraction = 0"), HasSubstr("must be in (0, 1], got 0"));
  EXPECT_THAT(error("seed = -1"), HasSubstr("must be at least 0, got -1"));
  EXPECT_THAT(error("[train]\nbatch_size = 0"), HasSubstr("must be in [1, 1000000000], got 0"));
  EXPECT_THAT(error("[decorrelation]\nupdate_every = 0"), HasSubstr("must be at least 1, got 0"));
}

TEST(ConfigError, ChoicesNameTheNearest) {
  EXPECT_EQ(
      error("[optimizer]\ntype = \"adm\""),
      "\"optimizer.type\" must be one of adam sgd, got the string \"adm\", a.toml:2, did you mean "
      "\"adam\"?");
  EXPECT_EQ(error("[model]\ntype = \"convent\""),
            "\"model.type\" must be one of mlp convnet resnet18 transformer recurrent, got the "
            "string \"convent\", a.toml:2, did you mean \"convnet\"?");
  EXPECT_THAT(error("[model]\nactivation = \"leaky_relu\""),
              HasSubstr("did you mean \"leaky-relu\"?"));
  EXPECT_THAT(error("[decorrelation]\npreset = \"publshed\""),
              HasSubstr("did you mean \"published\"?"));
  EXPECT_THAT(error("[train]\ndevice = \"abacus\""), HasSubstr("write one of these"));
}

TEST(ConfigError, Syntax) {
  EXPECT_THAT(error("[train]\nepochs = = 3"),
              AllOf(StartsWith("not valid TOML: "), HasSubstr(", a.toml:2, see https://toml.io")));
  EXPECT_THAT(error("[train]\nepochs = 1\nepochs = 2"), HasSubstr(", a.toml:3, "));
  EXPECT_THAT(error("[optimizer]\ntype = adam"), HasSubstr(", a.toml:2, "));
  EXPECT_THAT(error("seed = 99999999999999999999"), HasSubstr(", a.toml:1, "));
  EXPECT_THAT(error("just a text file\n"), HasSubstr(", a.toml:1, "));
}

TEST(ConfigError, Overrides) {
  EXPECT_EQ(
      error("", {"optimizer.lr=fast"}),
      "\"optimizer.lr\" must be a float, got the string \"fast\", --set optimizer.lr=fast, write "
      "a float such as 0.001");
  EXPECT_EQ(error("", {"optimiser.lr=1"}),
            "unknown key \"optimiser.lr\", --set optimiser.lr=1, did you mean \"optimizer.lr\"?");
  EXPECT_EQ(error("", {"optimizer=adam"}),
            "\"optimizer\" is a table, --set optimizer=adam, name one of its keys, optimizer.KEY");
  EXPECT_THAT(error("", {"optimizer.lr"}),
              HasSubstr("--set optimizer.lr, write --set SECTION.KEY=VALUE"));
  EXPECT_THAT(error("", {"=3"}), HasSubstr("needs a key and a value"));
  EXPECT_THAT(error("", {"data.root="}), HasSubstr("needs a key and a value"));
  EXPECT_THAT(error("", {"model.hidden=[1, "}), HasSubstr("not a valid TOML value"));
  EXPECT_THAT(error("", {"data.root=/a\xFF"}), HasSubstr("not a valid TOML value"));
  EXPECT_THAT(error("", {"seed=1\nx=2"}), HasSubstr("an override has one value"));
  EXPECT_THAT(error("", {"decorrelation.layers.lr=1"}), HasSubstr("is in a list"));
  EXPECT_THAT(error("", {"train.epochs=0"}), HasSubstr("got 0, --set train.epochs=0, "));
}

TEST(ConfigError, KeysWithoutEffect) {
  EXPECT_EQ(
      error("[optimizer]\nmomentum = 0.9"),
      "\"optimizer.momentum\" has no effect with optimizer.type = \"adam\", a.toml:2, remove it or "
      "set optimizer.type = \"sgd\"");
  EXPECT_THAT(error("[optimizer]\ntype = \"sgd\"\nbeta1 = 0.9"), HasSubstr("a.toml:3"));
  EXPECT_THAT(error("[optimizer]\ngamma = 0.9"), HasSubstr("optimizer.schedule = \"constant\""));
  EXPECT_THAT(error("[optimizer]\ntotal = 9"), HasSubstr("set optimizer.schedule = \"cosine\""));
  EXPECT_THAT(error("[optimizer]\ntype = \"sgd\"\nnesterov = true"), HasSubstr("without momentum"));
  for (const std::string key : {"lr = 0.1", "schedule = \"constant\"", "warmup = 3", "guard = true",
                                "gain = \"none\"", "scale_free = true"}) {
    SCOPED_TRACE(key);
    EXPECT_THAT(error("[decorrelation]\nmethod = \"standardize\"\n" + key),
                HasSubstr("has no effect with decorrelation.method = \"standardize\", a.toml:3"));
  }
  for (const std::string key : {"damping = 1.0", "mean = \"batch\"", "preset = \"published\""}) {
    SCOPED_TRACE(key);
    EXPECT_EQ(error("[decorrelation]\nmethod = \"standardize\"\n" + key), "accepted");
    EXPECT_THAT(error("[decorrelation]\nmethod = \"none\"\n" + key),
                HasSubstr("has no effect with decorrelation.method = \"none\", a.toml:3"));
  }
}

TEST(ConfigError, ModelKeysBelongToTheirTypes) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> keys_of = {
      {"hidden = [8]", {"mlp"}},
      {"conv_widths = [8]", {"convnet"}},
      {"dense_widths = [8]", {"convnet"}},
      {"width = 8", {"resnet18", "transformer", "recurrent"}},
      {"batch_norm = false", {"mlp", "convnet", "resnet18"}},
      {"depth = 1", {"transformer"}},
      {"heads = 2", {"transformer"}},
      {"activation = \"relu\"", {"mlp", "convnet"}},
      {"bias = false", {"mlp", "convnet"}},
      {"published_activations = true", {"mlp"}}};
  for (const auto& [key, types] : keys_of)
    for (const std::string type : {"mlp", "convnet", "resnet18", "transformer", "recurrent"}) {
      SCOPED_TRACE(key + " with " + type);
      const std::string text = error("[model]\ntype = \"" + type + "\"\n" + key);
      const bool belongs = std::count(types.begin(), types.end(), type) > 0;
      EXPECT_THAT(
          text, HasSubstr(belongs ? "accepted"
                                  : "has no effect with model.type = \"" + type + "\", a.toml:3"));
    }
  EXPECT_EQ(error("[model]\nhidden = [8]", {"model.type=convnet"}), "accepted");
}

TEST(ConfigError, NodePerturbationCannotTrainThroughBatchNormalization) {
  const std::string normalized =
      "[model]\nbatch_norm = true\n[learning]\nrule = \"node-perturbation\"";
  EXPECT_THAT(error(normalized), HasSubstr("cannot train through batch normalization, a.toml:4"));
  // The key has no effect there.
  EXPECT_EQ(error(normalized, {"model.type=recurrent"}), "accepted");
  EXPECT_THAT(error(normalized, {"model.type=transformer"}),
              HasSubstr("the transformer's normalizations and positions"));
}

TEST(ConfigError, SchedulesNeedTheirLength) {
  EXPECT_EQ(
      error("[optimizer]\nschedule = \"step\""),
      "\"optimizer.step_size\" is missing, which optimizer.schedule = \"step\" needs, a.toml:2, "
      "add step_size = NUMBER, the steps between drops of the rate");
  EXPECT_THAT(error("[decorrelation]\nschedule = \"cosine\""),
              HasSubstr("\"decorrelation.total\""));
  EXPECT_EQ(error("[optimizer]\nschedule = \"cosine\""), "accepted");
  const std::string layer = "[[decorrelation.layers]]\npattern = \"*\"\nschedule = \"step\"\n";
  EXPECT_THAT(error(layer), HasSubstr("\"decorrelation.layers.step_size\" is missing"));
  EXPECT_EQ(error(layer + "step_size = 10"), "accepted");
}

TEST(ConfigError, Layers) {
  const std::string layer = "[[decorrelation.layers]]\n";
  EXPECT_THAT(error(layer + "lr = 1"), HasSubstr("needs a pattern, a.toml:1"));
  EXPECT_THAT(error(layer + "pattern = \"\"\nlr = 1"), HasSubstr("needs a pattern, a.toml:2"));
  EXPECT_THAT(error(layer + "pattern = \"*\""), HasSubstr("changes nothing, a.toml:1"));
  EXPECT_THAT(error(layer + "pattern = \"*\"\nrl = 1"),
              HasSubstr("unknown key \"decorrelation.layers.rl\", a.toml:3"));
  EXPECT_THAT(error(layer + "pattern = \"*\"\npreset = \"default\""),
              HasSubstr("did you mean \"decorrelation.preset\"?"));
  EXPECT_THAT(error(layer + "pattern = \"*\"\nlr = -1"), HasSubstr("got -1, a.toml:3"));
  EXPECT_THAT(error(layer + "pattern = \"*\"\nmethod = \"none\"\nlr = 1"),
              HasSubstr("has no effect with decorrelation.layers.method = \"none\", a.toml:4"));
  EXPECT_THAT(error("[decorrelation]\nmethod = \"none\"\n" + layer + "pattern = \"*\"\nlr = 1"),
              HasSubstr("has no effect"));
  EXPECT_THAT(error("[decorrelation]\nlayers = 3"), HasSubstr("must be a list of tables"));
  EXPECT_THAT(error("[decorrelation]\nlayers = [3]"),
              HasSubstr("must be a table, got the integer 3"));
  EXPECT_THAT(error("[decorrelation.layers]\npattern = \"*\""), HasSubstr("in double brackets"));
}

TEST(ConfigError, StatisticsNeedTwoSamples) {
  EXPECT_EQ(
      error("[train]\nbatch_size = 1"),
      "decorrelation needs at least 2 samples in a step, got train.batch_size 1, a.toml:2, raise "
      "train.batch_size or train.accumulate, or set decorrelation.method = \"none\"");
  EXPECT_EQ(error("[train]\nbatch_size = 1\naccumulate = 2"), "accepted");
  EXPECT_EQ(error("[decorrelation]\nmethod = \"none\"\n[train]\nbatch_size = 1"), "accepted");
  EXPECT_THAT(error("[decorrelation]\nmean = \"batch\"\n[train]\nbatch_size = 1\naccumulate = 2"),
              HasSubstr("a.toml:4, raise it or set decorrelation.mean = \"running\""));
}

TEST(NearestName, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
  EXPECT_EQ(edit_distance("Leaky-ReLU", "leaky_relu"), 0U);
  EXPECT_EQ(nearest_name("tran", {"data", "train"}), "train");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_FALSE(resembles("lr", "eps"));
}

}  // namespace
}  // namespace decorr::train
