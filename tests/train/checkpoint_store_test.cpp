#include "decorr/train/checkpoint_store.h"

#include "decorr/core/random.h"
#include "decorr/io/atomic_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"
#include <csignal>
#include <limits>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace decorr::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::error_of;
using testing_support::FileSizeLimit;
using testing_support::names_in;
using testing_support::TemporaryFolder;

Checkpoint make_checkpoint(std::uint64_t seed, std::int64_t width = 5) {
  const RandomStream stream(seed);
  return {{{"layer0.R", stream.at(0).normal({width, width}, at::TensorOptions(at::kFloat))},
           {"layer0.mean", stream.at(1).normal({width}, at::TensorOptions(at::kDouble))},
           {"optimizer.step", at::full({}, static_cast<std::int64_t>(seed), at::kLong)}},
          {{"epoch", seed}, {"lr", 0.1}, {"name", "μ"}, {"order", {1, -2, 1e300}}}};
}

void expect_same(const Checkpoint& actual, const Checkpoint& expected) {
  EXPECT_EQ(actual.state, expected.state);
  ASSERT_EQ(actual.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    ASSERT_EQ(actual.tensors.count(name), 1U) << name;
    const auto& loaded = actual.tensors.at(name);
    EXPECT_EQ(loaded.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(loaded.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(loaded.equal(tensor)) << name;
  }
}

std::string load_error(const CheckpointStore& store, std::int64_t step) {
  return error_of<std::runtime_error>([&] { store.load(step); });
}

std::string path_string(const TemporaryFolder& folder, const std::string& name) {
  return (folder / name).string();
}

// Overwrites one field of a JSON file.
void edit(const fs::path& path, const std::string& key, const json& value) {
  json document = json::parse(io::read_file(path));
  document[key] = value;
  io::write_file_atomically(path, document.dump());
}

// Runs `action` in a child process that is expected to kill itself.
template <typename Action>
void run_killed(Action action) {
  const pid_t child = fork();
  if (child == 0) {
    action();
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(CheckpointStore, RoundTripsBitExactly) {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "run/checkpoints");
  EXPECT_EQ(store.latest(), std::nullopt);
  EXPECT_THAT(store.steps(), ElementsAre());
  store.save(1200, make_checkpoint(3));
  expect_same(CheckpointStore(folder / "run/checkpoints").load(1200), make_checkpoint(3));
  EXPECT_EQ(store.latest(), 1200);
  EXPECT_THAT(names_in(store.folder()),
              ElementsAre("step-0000001200.json", "step-0000001200.safetensors"));
}

TEST(CheckpointStore, WritesTheDocumentedFields) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(7, make_checkpoint(3));
  const auto document = json::parse(io::read_file(folder / "step-0000000007.json"));
  EXPECT_EQ(document.at("format_version"), 1);
  EXPECT_EQ(document.at("step"), 7);
  EXPECT_EQ(document.at("tensors_file"), "step-0000000007.safetensors");
  EXPECT_EQ(document.at("tensors_bytes"), fs::file_size(folder / "step-0000000007.safetensors"));
  EXPECT_EQ(document.at("state"), make_checkpoint(3).state);
  EXPECT_EQ(document.size(), 7U);
}

TEST(CheckpointStore, RoundTripsEmptyCheckpointsAndStepZero) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(0, {});
  expect_same(store.load(0), {});
}

TEST(CheckpointStore, SameContentsAreSameBytes) {
  const TemporaryFolder a, b;
  CheckpointStore first(a.path()), second(b.path());
  first.save(5, make_checkpoint(1));
  second.save(5, make_checkpoint(2));
  second.save(5, make_checkpoint(1));
  second.save(5, make_checkpoint(2));
  second.save(6, make_checkpoint(2));
  first.save(6, make_checkpoint(2));
  first.save(6, make_checkpoint(2));
  for (const char* name : {"step-0000000006.json", "step-0000000006.safetensors"})
    EXPECT_EQ(io::read_file(a / name), io::read_file(b / name)) << name;
}

TEST(CheckpointStore, ReplacesAStep) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  for (const std::uint64_t seed : {1U, 2U, 3U, 3U, 4U}) {
    store.save(5, make_checkpoint(seed));
    expect_same(store.load(5), make_checkpoint(seed));
    EXPECT_EQ(names_in(folder).size(), 2U);
  }
}

TEST(CheckpointStore, ReplacingIsSafeAgainstACrashBetweenTensorsAndState) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(5, make_checkpoint(1));
  // The state cannot be written (it is above the limit), the tensors can.
  Checkpoint next = make_checkpoint(2);
  next.state["history"] = std::string(200'000, 'x');
  {
    const FileSizeLimit limit(100'000);
    EXPECT_THAT(error_of<std::runtime_error>([&] { store.save(5, next); }),
                HasSubstr("step-0000000005.json"));
  }
  expect_same(store.load(5), make_checkpoint(1));
  store.save(5, next);
  expect_same(store.load(5), next);
  EXPECT_EQ(names_in(folder).size(), 2U);
}

TEST(CheckpointStore, KeepsTheNewestAndTheBest) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path(), 2);
  for (std::int64_t step = 1; step <= 6; ++step) {
    store.save(step, make_checkpoint(static_cast<std::uint64_t>(step)));
    if (step == 2) store.mark_best(step, 0.75);
  }
  EXPECT_THAT(store.steps(), ElementsAre(2, 5, 6));
  EXPECT_EQ(names_in(folder).size(), 7U);
  ASSERT_TRUE(store.best().has_value());
  EXPECT_EQ(store.best()->step, 2);
  EXPECT_EQ(store.best()->value, 0.75);
  expect_same(store.load(2), make_checkpoint(2));

  store.mark_best(6, 0.8);
  store.save(7, make_checkpoint(7));
  EXPECT_THAT(store.steps(), ElementsAre(6, 7));
  EXPECT_EQ(CheckpointStore(folder.path()).best()->value, 0.8);
}

TEST(CheckpointStore, NeverDeletesWhatItJustSaved) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path(), 2);
  store.save(20, make_checkpoint(20));
  store.save(30, make_checkpoint(30));
  store.save(10, make_checkpoint(10));
  expect_same(store.load(10), make_checkpoint(10));
}

TEST(CheckpointStore, KeepsOtherFiles) {
  const TemporaryFolder folder;
  for (const char* name : {"notes.txt", "step-1.json", "step-1.safetensors", "step-.json",
                           "step-00000000x1.json", "step-0000000001.json.bak"})
    io::write_file_atomically(folder / name, "mine");
  CheckpointStore store(folder.path(), 1);
  store.save(2, make_checkpoint(2));
  store.save(3, make_checkpoint(3));
  EXPECT_THAT(store.steps(), ElementsAre(3));
  EXPECT_EQ(names_in(folder).size(), 8U);
}

TEST(CheckpointStore, OrdersStepsByNumber) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path(), 9);
  for (const std::int64_t step : {20'000'000'000, 3'000'000'000, 7L})
    store.save(step, make_checkpoint(1));
  EXPECT_THAT(store.steps(), ElementsAre(7, 3'000'000'000, 20'000'000'000));
  EXPECT_EQ(store.latest(), 20'000'000'000);
}

TEST(CheckpointStore, TensorsWithoutStateAreNoCheckpoint) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(1, make_checkpoint(1));
  store.save(2, make_checkpoint(2));
  fs::remove(folder / "step-0000000002.json");
  EXPECT_EQ(store.latest(), 1);
  EXPECT_THAT(load_error(store, 2), AllOf(HasSubstr("no checkpoint of step 2"), HasSubstr("[1]")));
  expect_same(store.load(1), make_checkpoint(1));

  store.save(3, make_checkpoint(3));
  EXPECT_THAT(names_in(folder), ElementsAre("step-0000000001.json", "step-0000000001.safetensors",
                                            "step-0000000003.json", "step-0000000003.safetensors"));
}

TEST(CheckpointStore, LeftoversOfAKilledProcessAreIgnoredAndSwept) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(1, make_checkpoint(1));
  for (const char* name : {"step-0000000002.safetensors", "step-0000000001.json"})
    run_killed([&] {
      io::write_file_atomically(folder / name, [](const io::AppendBytes& append) {
        append("half");
        raise(SIGKILL);
      });
    });
  ASSERT_EQ(names_in(folder).size(), 4U);
  EXPECT_THAT(store.steps(), ElementsAre(1));
  expect_same(store.load(1), make_checkpoint(1));
  store.save(2, make_checkpoint(2));
  EXPECT_EQ(names_in(folder).size(), 4U);
  EXPECT_THAT(store.steps(), ElementsAre(1, 2));
}

TEST(CheckpointStore, FullDiskLeavesThePreviousCheckpointAndNothingElse) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path(), 1);
  store.save(1, make_checkpoint(1));
  const auto before = names_in(folder);
  Checkpoint large_state = make_checkpoint(2);
  large_state.state["history"] = std::string(200'000, 'x');
  {
    const FileSizeLimit limit(100'000);
    EXPECT_THAT(error_of<std::runtime_error>([&] { store.save(2, make_checkpoint(2, 300)); }),
                AllOf(HasSubstr(path_string(folder, "step-0000000002.safetensors")),
                      HasSubstr("free space or choose another folder")));
    EXPECT_EQ(names_in(folder), before);
    EXPECT_THAT(error_of<std::runtime_error>([&] { store.save(2, large_state); }),
                HasSubstr(path_string(folder, "step-0000000002.json")));
    EXPECT_EQ(names_in(folder), before);
  }
  EXPECT_EQ(store.latest(), 1);
  expect_same(store.load(1), make_checkpoint(1));
  store.save(2, large_state);
  expect_same(store.load(2), large_state);
}

TEST(CheckpointStore, EveryDamagedByteOfTheTensorsIsAnError) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(1, make_checkpoint(1));
  store.save(2, make_checkpoint(2));
  const fs::path path = folder / "step-0000000002.safetensors";
  const std::string good = io::read_file(path);
  for (std::size_t i = 0; i < good.size(); i += 3) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    io::write_file_atomically(path, bad);
    ASSERT_THAT(load_error(store, 2),
                AllOf(HasSubstr(path.string() + " is damaged"), HasSubstr("CRC-32"),
                      HasSubstr("to resume from the one before (step 1)")))
        << i;
  }
  io::write_file_atomically(path, good.substr(0, good.size() - 1));
  EXPECT_THAT(load_error(store, 2), HasSubstr("bytes, not"));
  io::write_file_atomically(path, good + "x");
  EXPECT_THAT(load_error(store, 2), HasSubstr("bytes, not"));
  fs::remove(path);
  EXPECT_THAT(load_error(store, 2), AllOf(HasSubstr(path.string() + " is missing"),
                                          HasSubstr("step-0000000002.json to resume")));
  expect_same(store.load(1), make_checkpoint(1));
}

TEST(CheckpointStore, EveryDamagedByteOfTheStateIsAnErrorOrHarmless) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(1, make_checkpoint(1));
  const fs::path path = folder / "step-0000000001.json";
  const std::string good = io::read_file(path);
  int harmless = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    io::write_file_atomically(path, bad);
    try {
      // Only space between the items may differ.
      expect_same(store.load(1), make_checkpoint(1));
      EXPECT_TRUE(good[i] == ' ' || good[i] == '\n') << i;
      ++harmless;
    } catch (const std::runtime_error& error) {
      ASSERT_THAT(error.what(), HasSubstr(path.string()));
    }
  }
  EXPECT_LT(harmless, static_cast<int>(good.size() / 4));
  for (std::size_t size = 0; size + 2 < good.size(); size += 5) {
    io::write_file_atomically(path, good.substr(0, size));
    ASSERT_THAT(load_error(store, 1), AllOf(HasSubstr(path.string() + " is cut off or damaged"),
                                            HasSubstr("there is none before it")));
  }
}

TEST(CheckpointStore, NamesForeignAndNewerFiles) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(1, make_checkpoint(1));
  const fs::path path = folder / "step-0000000001.json";
  const std::string good = io::read_file(path);
  const auto after = [&](const std::string& key, const json& value) {
    io::write_file_atomically(path, good);
    edit(path, key, value);
    return load_error(store, 1);
  };
  EXPECT_THAT(after("format_version", 2),
              AllOf(HasSubstr("made by a newer decorr"), HasSubstr("update decorr"),
                    HasSubstr(path.string()), Not(HasSubstr("delete"))));
  EXPECT_THAT(after("format_version", "1"), HasSubstr("not made by decorr"));
  EXPECT_THAT(after("format_version", 0), HasSubstr("damaged"));
  EXPECT_THAT(after("step", 2), HasSubstr("not of step 1"));
  EXPECT_THAT(after("tensors_file", "../../secret.safetensors"), HasSubstr("../../secret"));
  EXPECT_THAT(after("tensors_file", 3), HasSubstr("damaged"));
  EXPECT_THAT(after("tensors_bytes", -1), HasSubstr("tensors_bytes is -1"));
  EXPECT_THAT(after("tensors_crc32", nullptr), HasSubstr("tensors_crc32 is null"));
  EXPECT_THAT(after("state", {{"epoch", 2}}), HasSubstr("state has another CRC-32"));
  for (const char* text : {"[]", "{}", "3", "{\"format_version\": 1}"}) {
    io::write_file_atomically(path, text);
    EXPECT_THAT(load_error(store, 1), HasSubstr(path.string())) << text;
  }
  store.save(1, make_checkpoint(2));
  expect_same(store.load(1), make_checkpoint(2));
}

TEST(CheckpointStore, BestIsGoneWithItsCheckpoint) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  EXPECT_FALSE(store.best().has_value());
  store.save(1, make_checkpoint(1));
  EXPECT_FALSE(store.best().has_value());
  store.mark_best(1, -0.1);
  EXPECT_EQ(store.best()->value, -0.1);
  fs::remove(folder / "step-0000000001.json");
  EXPECT_FALSE(store.best().has_value());
}

TEST(CheckpointStore, DamagedBestIsAnErrorBeforeAnythingIsWritten) {
  const TemporaryFolder folder;
  CheckpointStore store(folder.path());
  store.save(1, make_checkpoint(1));
  for (const char* text : {"", "{", "{}", "{\"format_version\": 1, \"step\": 1}"}) {
    io::write_file_atomically(folder / "best.json", text);
    const auto matches = AllOf(HasSubstr(path_string(folder, "best.json")), HasSubstr("delete"));
    EXPECT_THAT(error_of<std::runtime_error>([&] { store.best(); }), matches) << text;
    EXPECT_THAT(error_of<std::runtime_error>([&] { store.save(2, make_checkpoint(2)); }), matches);
    EXPECT_THAT(store.steps(), ElementsAre(1));
  }
}

TEST(CheckpointStore, RefusesBadArguments) {
  const TemporaryFolder folder;
  const auto refusal = [](auto action) { return error_of<std::invalid_argument>(action); };
  EXPECT_THAT(refusal([&] { CheckpointStore(folder.path(), 0); }),
              AllOf(HasSubstr("at least 1"), HasSubstr("got 0")));
  CheckpointStore store(folder.path());
  EXPECT_THAT(refusal([&] { store.save(-1, {}); }), HasSubstr("got -1"));
  EXPECT_THAT(refusal([&] { store.mark_best(4, 1.0); }), HasSubstr("got 4"));
  store.save(4, {});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal([&] { store.mark_best(4, nan); }), HasSubstr("finite"));
  EXPECT_THAT(refusal([&] { store.save(5, {{}, {{"loss", nan}}}); }), HasSubstr("finite"));
  EXPECT_THAT(refusal([&] { store.save(5, {{}, {{"name", "\xFF"}}}); }), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal([&] { store.save(5, {{{"x", at::Tensor()}}, {}}); }), HasSubstr("\"x\""));
  EXPECT_THAT(store.steps(), ElementsAre(4));
}

TEST(CheckpointStore, NamesAFolderThatCannotBe) {
  const TemporaryFolder folder;
  io::write_file_atomically(folder / "file", "text");
  CheckpointStore store(folder / "file");
  EXPECT_THAT(error_of<std::runtime_error>([&] { store.save(1, {}); }),
              AllOf(HasSubstr(path_string(folder, "file")), HasSubstr("choose another --out")));
  EXPECT_THAT(error_of<std::runtime_error>([&] { store.steps(); }),
              HasSubstr(path_string(folder, "file")));
}

}  // namespace
}  // namespace decorr::train
