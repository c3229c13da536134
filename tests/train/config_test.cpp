#include "decorr/train/config.h"

#include "decorr/train/config_binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace decorr::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Config parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "a.toml", overrides);
}

// Every value of a configuration, so that two can be compared.
std::vector<std::string> values(Config config) {
  std::vector<std::string> result;
  for (const Binding& binding : bindings(config))
    result.push_back(binding.name + " = " + binding.value());
  for (const LayerDecorrelation& layer : config.decorrelation.layers) {
    result.push_back("[[" + layer.pattern + "]]");
    for (const auto& [key, setting] : layer.settings)
      result.push_back(key + " = " + in_toml(setting));
  }
  return result;
}

const Binding& find(const std::vector<Binding>& all, const std::string& name) {
  for (const Binding& binding : all)
    if (binding.name == name) return binding;
  throw std::logic_error("no key " + name);
}

// A value in TOML that is allowed and not the default.
std::string other_value(const Binding& binding) {
  if (auto* const* flag = std::get_if<bool*>(&binding.target)) return **flag ? "false" : "true";
  if (auto* const* whole = std::get_if<std::int64_t*>(&binding.target))
    return in_toml(Setting(**whole + 1));
  if (std::holds_alternative<double*>(binding.target)) return in_toml(Setting(1.0 / 3.0));
  if (std::holds_alternative<std::vector<std::int64_t>*>(binding.target)) return "[1, 1000000]";
  if (std::holds_alternative<std::vector<double>*>(binding.target)) return "[0.25, 1]";
  if (binding.name.find("structure") != std::string::npos) return "\"block(7)\"";
  if (binding.choices.empty()) return R"("a \"b\" \\ c\u0007\n ü")";
  const bool last = **std::get_if<std::string*>(&binding.target) == binding.choices.back();
  return quoted(last ? binding.choices.front() : binding.choices.back());
}

// Overrides under which `binding` has an effect.
std::vector<std::string> enabling(const Binding& binding) {
  std::vector<std::string> overrides;
  for (const Condition& condition : binding.conditions) {
    const std::string value = condition.values.front();
    overrides.push_back(condition.selector + "=" + value);
    const std::string table = condition.selector.substr(0, condition.selector.rfind('.'));
    if (value == "step") overrides.push_back(table + ".step_size=7");
    if (value == "cosine") overrides.push_back(table + ".total=7");
  }
  if (binding.name == "decorrelation.schedule") overrides.emplace_back("decorrelation.total=7");
  if (binding.name == "data.preset") overrides.emplace_back("data.name=cifar100");
  if (binding.name == "optimizer.nesterov") overrides.emplace_back("optimizer.momentum=0.5");
  return overrides;
}

// A folder of its own for each test, removed with everything in it.
class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "decorr-config-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text) {
    const std::string path = folder_ / "run.toml";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder_;
};

TEST(Config, EmptyFileGivesTheDefaults) {
  const Config config = parse("");
  EXPECT_EQ(values(config), values(Config()));
  EXPECT_EQ(config.seed, 42);
  EXPECT_THAT(config.model.hidden, ElementsAre(256, 256));
  EXPECT_EQ(config.optimizer.lr, 1e-3);
  EXPECT_EQ(config.decorrelation.options.method, "norm-preserving");
  EXPECT_EQ(values(parse("# nothing but a comment\n\n")), values(Config()));
}

TEST(Config, ReadsEveryTable) {
  const Config config = parse(R"(
seed = 7
[data]
root = "/somewhere"
validation = 5000
[model]
hidden = []
activation = "tanh"
[decorrelation]
lr = 1e-2
[learning]
loss = "squared-error"
[optimizer]
type = "sgd"
momentum = 0.9
lr = 1            # an integer is a fine float
[train]
epochs = 3
precision = "float64"
)");
  EXPECT_EQ(config.seed, 7);
  EXPECT_EQ(config.data.root, "/somewhere");
  EXPECT_EQ(config.data.validation, 5000);
  EXPECT_THAT(config.model.hidden, IsEmpty());
  EXPECT_EQ(config.model.activation, "tanh");
  EXPECT_EQ(config.decorrelation.options.lr, 1e-2);
  EXPECT_EQ(config.learning.loss, "squared-error");
  EXPECT_EQ(config.optimizer.type, "sgd");
  EXPECT_EQ(config.optimizer.momentum, 0.9);
  EXPECT_EQ(config.optimizer.lr, 1.0);
  EXPECT_EQ(config.train.epochs, 3);
  EXPECT_EQ(config.train.precision, "float64");
}

TEST(Config, EveryKeyIsReadAndWrittenExactly) {
  Config defaults;
  for (const Binding& binding : bindings(defaults)) {
    SCOPED_TRACE(binding.name);
    std::vector<std::string> overrides = enabling(binding);
    overrides.push_back(binding.name + "=" + other_value(binding));
    Config config = parse("", overrides);
    if (binding.choices.size() != 1) {
      EXPECT_NE(find(bindings(config), binding.name).value(), binding.value());
    }
    const std::string text = to_toml(config);
    EXPECT_EQ(values(parse(text)), values(config)) << text;
    EXPECT_EQ(to_toml(parse(text)), text);
  }
}

TEST(Config, NumbersRoundTrip) {
  for (const double lr : {0.1, 1e-5, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, 123456789.0}) {
    Config config;
    config.optimizer.lr = lr;
    EXPECT_EQ(parse(to_toml(config)).optimizer.lr, lr);
  }
  Config config;
  config.seed = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(parse(to_toml(config)).seed, config.seed);
}

TEST(Config, WritesOnlyWhatHasAnEffect) {
  const std::string adam = to_toml(Config());
  EXPECT_THAT(adam, HasSubstr("beta1 = 0.9\n"));
  EXPECT_THAT(adam, Not(HasSubstr("\nmomentum")));
  EXPECT_THAT(adam, Not(HasSubstr("\nstep_size")));
  const std::string plain =
      to_toml(parse("[decorrelation]\nmethod = \"none\"\n[optimizer]\ntype = \"sgd\""));
  EXPECT_THAT(plain, HasSubstr("[decorrelation]\nmethod = \"none\"\n\n[learning]"));
  EXPECT_THAT(plain, HasSubstr("\nmomentum = 0.0\n"));
  EXPECT_THAT(plain, Not(HasSubstr("beta1")));
}

TEST(Config, PresetComesBeforeExplicitKeysWhateverTheirOrder) {
  const Config config =
      parse("[decorrelation]\nlr = 0.5\ngain = \"energy\"\npreset = \"published\"");
  EXPECT_EQ(config.decorrelation.preset, "published");
  const auto& options = config.decorrelation.options;
  EXPECT_EQ(options.lr, 0.5);
  EXPECT_EQ(options.gain, "energy");
  EXPECT_EQ(options.mean, "batch");
  EXPECT_FALSE(options.guard);
  EXPECT_EQ(values(parse(to_toml(config))), values(config));
}

TEST(Config, PublishedPresetOfTheData) {
  const Config cifar = parse("[data]\npreset = \"published\"\nname = \"cifar100\"");
  EXPECT_EQ(cifar.data.crop_padding, 4);
  EXPECT_EQ(cifar.data.crop_size, 0);
  EXPECT_TRUE(cifar.data.flip);
  EXPECT_TRUE(cifar.data.normalize);
  EXPECT_THAT(cifar.data.mean, ElementsAre(0.4914, 0.4822, 0.4465));
  EXPECT_THAT(cifar.data.std, ElementsAre(0.2023, 0.1994, 0.2010));
  EXPECT_THAT(to_toml(cifar), HasSubstr("mean = [0.4914, 0.4822, 0.4465]\n"));
  EXPECT_EQ(values(parse(to_toml(cifar))), values(cifar));

  const Config tiny = parse("[data]\npreset = \"published\"\nname = \"tiny-imagenet\"");
  EXPECT_EQ(tiny.data.crop_padding, 0);
  EXPECT_EQ(tiny.data.crop_size, 56);
  EXPECT_TRUE(tiny.data.flip);
  EXPECT_THAT(tiny.data.mean, IsEmpty());
  EXPECT_THAT(to_toml(tiny), HasSubstr("mean = []\nstd = []\n"));
}

TEST(Config, KeysOfTheDataComeOnTopOfItsPreset) {
  const Config config =
      parse("[data]\nflip = false\nmean = [0, 0.5, 1]\npreset = \"published\"\nname = \"mnist\"",
            {"data.name=cifar10", "data.std=[]"});
  EXPECT_EQ(config.data.crop_padding, 4);
  EXPECT_FALSE(config.data.flip);
  EXPECT_THAT(config.data.mean, ElementsAre(0.0, 0.5, 1.0));
  EXPECT_THAT(config.data.std, IsEmpty());
  EXPECT_EQ(values(parse(to_toml(config))), values(config));
}

TEST(Config, LayersOverrideInOrder) {
  const Config config = parse(R"(
[decorrelation]
lr = 0.1
[[decorrelation.layers]]
pattern = "layers.*"
lr = 0.2
damping = 3
[[decorrelation.layers]]
pattern = "layers.?"
lr = 0.3
[[decorrelation.layers]]
pattern = "layers.2"
method = "none"
)");
  const auto& plan = config.decorrelation;
  EXPECT_EQ(plan.options_for("output").lr, 0.1);
  EXPECT_EQ(plan.options_for("output").damping, whitening::DecorrelatorOptions().damping);
  EXPECT_EQ(plan.options_for("layers.10").lr, 0.2);
  EXPECT_EQ(plan.options_for("layers.1").lr, 0.3);
  EXPECT_EQ(plan.options_for("layers.1").damping, 3.0);
  EXPECT_EQ(plan.options_for("layers.1").method, "norm-preserving");
  EXPECT_EQ(plan.options_for("layers.2").method, "none");
  EXPECT_EQ(values(parse(to_toml(config))), values(config));
  EXPECT_EQ(to_toml(parse(to_toml(config))), to_toml(config));
}

TEST(Config, GeneralKeysServeLayersThatChangeTheMethod) {
  const Config config = parse(R"(
[decorrelation]
method = "none"
lr = 0.1
[[decorrelation.layers]]
pattern = "layers.0"
method = "copi"
)");
  EXPECT_EQ(config.decorrelation.options_for("layers.0").lr, 0.1);
  EXPECT_EQ(values(parse(to_toml(config))), values(config));
}

TEST(Config, PatternsMustMatchALayer) {
  const Config config = parse("[[decorrelation.layers]]\npattern = \"layer.0\"\nmethod = \"none\"");
  EXPECT_NO_THROW(config.decorrelation.check_patterns({"layer.0", "layer.1"}));
  try {
    config.decorrelation.check_patterns({"layers.0", "layers.1"});
    FAIL() << "accepted a pattern that matches nothing";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "pattern \"layer.0\" matches no layer, [[decorrelation.layers]], the layers are "
                 "layers.0 layers.1");
  }
}

TEST(Config, SettingsMadeInCodeAreChecked) {
  DecorrelationConfig plan;
  plan.layers = {{"*", {{"lr", std::string("fast")}}}};
  EXPECT_THROW(plan.options_for("layers.0"), std::invalid_argument);
  plan.layers = {{"*", {{"rate", 1.0}}}};
  EXPECT_THROW(plan.options_for("layers.0"), std::invalid_argument);
}

TEST(Config, ScheduleCoversTheWholeRun) {
  const Config config = parse("[optimizer]\nschedule = \"cosine\"\nwarmup = 10");
  EXPECT_EQ(config.optimizer.schedule_over(100).total, 90);
  EXPECT_EQ(config.optimizer.schedule_over(5).total, 1);
  EXPECT_NO_THROW(config.optimizer.schedule_over(100).validate("optimizer"));
  const Config given = parse("[optimizer]\nschedule = \"cosine\"\ntotal = 30");
  EXPECT_EQ(given.optimizer.schedule_over(100).total, 30);
}

TEST(Config, OverridesComeOnTopInOrder) {
  const Config config =
      parse("[optimizer]\nlr = \"not even a number\"\n",
            {"optimizer.lr=0.5", "optimizer.lr = 0.25", "seed=1", "model.hidden=[10, 20]",
             "data.root=/some/where", "model.activation=\"relu\"", "data.name=1-2"});
  EXPECT_EQ(config.optimizer.lr, 0.25);
  EXPECT_EQ(config.seed, 1);
  EXPECT_THAT(config.model.hidden, ElementsAre(10, 20));
  EXPECT_EQ(config.data.root, "/some/where");
  EXPECT_EQ(config.model.activation, "relu");
  EXPECT_EQ(config.data.name, "1-2");
}

TEST(Config, OverrideMayLeaveKeysOfTheFileWithoutEffect) {
  const std::string tuned = "[decorrelation]\nlr = 0.01\n[optimizer]\nbeta2 = 0.9\n";
  const Config plain =
      parse(tuned, {"decorrelation.method=none", "optimizer.type=sgd", "optimizer.momentum=0.9"});
  EXPECT_EQ(plain.decorrelation.options.method, "none");
  EXPECT_EQ(plain.optimizer.type, "sgd");
  EXPECT_THAT(to_toml(plain), Not(HasSubstr("beta2")));
  // In the file itself, or in the overrides themselves, such a key is a mistake.
  EXPECT_THROW(parse("[decorrelation]\nmethod = \"none\"\nlr = 0.01\n"), ConfigError);
  EXPECT_THROW(parse("", {"decorrelation.method=none", "decorrelation.lr=0.01"}), ConfigError);
}

TEST(Config, OverrideMaySetTheListOfLayers) {
  const Config config =
      parse("", {"decorrelation.layers=[{pattern = \"layers.0\", method = \"none\"}]"});
  EXPECT_EQ(config.decorrelation.options_for("layers.0").method, "none");
  EXPECT_EQ(config.decorrelation.options_for("layers.1").method, "norm-preserving");
}

TEST(Config, AllowedNumbersAreAllowedByTheDecorrelator) {
  whitening::DecorrelatorOptions options;
  for (const Binding& binding : decorrelator_bindings(options, "decorrelation")) {
    SCOPED_TRACE(binding.name);
    for (const double edge : {binding.range.low, binding.range.high}) {
      if (!binding.range.contains(edge)) continue;
      if (auto* const* whole = std::get_if<std::int64_t*>(&binding.target))
        **whole = static_cast<std::int64_t>(edge);
      if (auto* const* real = std::get_if<double*>(&binding.target)) **real = edge;
      EXPECT_NO_THROW(options.validate());
    }
  }
}

TEST(Config, DescriptionNamesEveryKey) {
  const std::string text = describe_config();
  Config config;
  for (const Binding& binding : bindings(config))
    EXPECT_THAT("\n" + text, HasSubstr("\n  " + binding.leaf() + " = ")) << binding.name;
  EXPECT_THAT(text,
              HasSubstr("  beta1 = 0.9\n      decay of the first moment a step; float in [0, 1); "
                        "only with optimizer.type = \"adam\"\n"));
  EXPECT_THAT(text, HasSubstr("\n[[decorrelation.layers]]\n"));
}

TEST_F(ConfigFile, IsLoaded) {
  const std::string path = write("\xEF\xBB\xBF[train]\r\nepochs = 2\r\n");
  EXPECT_EQ(load_config(path).train.epochs, 2);
  EXPECT_EQ(load_config(path, {"train.epochs=4"}).train.epochs, 4);
}

TEST_F(ConfigFile, ErrorsNameTheFileAndTheLine) {
  const std::string path = write("[train]\n\nepochs = 0\n");
  try {
    load_config(path);
    FAIL() << "accepted epochs = 0";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.what(), "\"train.epochs\" must be in [1, 1000000000], got 0, " + path +
                                ":3, write a value such as 10");
  }
}

TEST_F(ConfigFile, MustBeAReadableTextFile) {
  const auto message = [](const std::string& path) -> std::string {
    try {
      load_config(path);
      return "accepted";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  const std::string missing = folder_ / "missing.toml";
  EXPECT_EQ(message(missing),
            "cannot read the file: No such file or directory, " + missing + ", check the path");
  EXPECT_THAT(message(folder_), HasSubstr("it is a folder, " + folder_.string()));
  const std::string binary =
      write(std::string("\x7F"
                        "ELF\0\0\1",
                        7));
  EXPECT_EQ(message(binary), "not a TOML file but a binary file, " + binary + ", give a TOML file");
  EXPECT_THAT(message(write("seed = 1\n\xFF\xFE = 2\n")), HasSubstr("not UTF-8"));
  EXPECT_THAT(message(write(std::string((1 << 20) + 1, '#'))), HasSubstr("larger than 1 MiB"));
}

// A mistake in a file that is shipped would be found only by who runs it.
TEST(Config, TheConfigurationsOfTheProjectAreRead) {
  int count = 0;
  const std::filesystem::path configs = std::filesystem::path(DECORR_SOURCE_DIR) / "configs";
  for (const std::filesystem::path& folder : {configs, configs / "paper"})
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      SCOPED_TRACE(entry.path().string());
      EXPECT_NO_THROW(load_config(entry.path().string()));
      ++count;
    }
  EXPECT_GE(count, 10);
}

}  // namespace
}  // namespace decorr::train
