#include "decorr/sweep/sweep_directory.h"

#include "decorr/io/atomic_file.h"
#include "decorr/train/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sweep/support.h"
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace decorr::sweep {
namespace {

using testing::HasSubstr;
using testing_support::error_of;
using testing_support::kLoss;
using testing_support::SweepFolder;

namespace fs = std::filesystem;

class SweepDirectoryTest : public testing::Test {
 protected:
  // A sweep whose first run has begun.
  void begin(const std::string& text) const {
    const Plan plan = files_.plan(text);
    SweepDirectory directory(out());
    directory.open(plan);
    const fs::path run = directory.runs() / plan.runs.front().name;
    fs::create_directories(run);
    io::write_file_atomically(run / "config.toml", train::to_toml(plan.runs.front().config));
  }

  std::string error(const std::string& text) const {
    return error_of<std::invalid_argument>([&] { SweepDirectory(out()).check(files_.plan(text)); });
  }

  void expect_accepted(const std::string& text) const {
    EXPECT_NO_THROW(SweepDirectory(out()).check(files_.plan(text)));
  }

  fs::path out() const { return files_.folder() / "out"; }

  SweepFolder files_;
  const std::string grid_ = "[grid]\noptimizer.lr = [0.1, 0.2]\n";
};

TEST_F(SweepDirectoryTest, ASweepMayGrow) {
  begin(kLoss + grid_);
  expect_accepted(kLoss + grid_);
  expect_accepted(kLoss + "seeds = [42, 43]\n" + grid_);
  expect_accepted(kLoss + "[grid]\noptimizer.lr = [0.05, 0.1, 0.2]\n");
  expect_accepted(kLoss + grid_ + "[final]\nseeds = [1]\n");
}

TEST_F(SweepDirectoryTest, OtherSettingsAreRefused) {
  begin(kLoss + grid_);
  EXPECT_THAT(error("[sweep]\nmetric = \"test_acc\"\n" + grid_),
              HasSubstr("it has `metric = \"train_loss\"`, asked for is `metric = \"test_acc\"`"));
  EXPECT_THAT(error(kLoss + grid_ + "[stop]\nmin_runs = 5\n"), HasSubstr("it has `(nothing)`"));
  EXPECT_THAT(error(kLoss + "[grid]\noptimizer.lr = [0.2]\n"),
              HasSubstr("a run that " + (files_.folder() / "s.toml").string() + " does not have"));
  EXPECT_THAT(error(kLoss + grid_ + "[set]\ntrain.epochs = 3\n"),
              HasSubstr("it has `train.epochs = 10`, asked for is `train.epochs = 3`"));
}

TEST_F(SweepDirectoryTest, OtherFoldersAreLeftAlone) {
  fs::create_directories(out());
  expect_accepted(kLoss);
  io::write_file_atomically(out() / "thesis.txt", "precious");
  EXPECT_THAT(error(kLoss), HasSubstr("is not that of a sweep, " + out().string()));
  fs::remove_all(out());
  io::write_file_atomically(out(), "precious");
  EXPECT_THAT(error(kLoss), HasSubstr("not a folder"));
}

TEST_F(SweepDirectoryTest, OneProcessAtATime) {
  SweepDirectory first(out());
  first.open(files_.plan(kLoss));
  EXPECT_THAT(error(kLoss), HasSubstr("in use by another process"));
  const Plan plan = files_.plan(kLoss);
  SweepDirectory second(out());
  EXPECT_THAT(error_of<std::runtime_error>([&] { second.open(plan); }),
              HasSubstr("in use by another process"));
}

TEST_F(SweepDirectoryTest, FinalRunsThatAreNotPlannedMoveAwayAndBack) {
  const Plan plan = files_.plan(kLoss + grid_ + "[final]\nseeds = [1]\n");
  const std::vector<sweep::Run> first = plan.final_runs({0}), second = plan.final_runs({1});
  SweepDirectory directory(out());
  directory.open(plan);
  const auto write = [&](const sweep::Run& run, const fs::path& folder, const std::string& text) {
    fs::create_directories(folder / run.name);
    io::write_file_atomically(folder / run.name / "config.toml", train::to_toml(run.config));
    io::write_file_atomically(folder / (run.name + ".log"), text);
  };
  const auto names = [](const fs::path& folder) { return testing_support::names_in(folder); };
  const auto moves = [&](const std::vector<sweep::Run>& planned) {
    const FinalMoves moved = directory.arrange_final_runs(planned);
    return std::make_pair(moved.away, moved.back);
  };
  const std::string name = first.front().name;
  EXPECT_EQ(moves(first), std::make_pair(0UL, 0UL));
  write(first.front(), directory.final_runs(), "old");
  EXPECT_EQ(moves(first), std::make_pair(0UL, 0UL));
  EXPECT_EQ(moves(second), std::make_pair(1UL, 0UL));
  EXPECT_THAT(names(directory.final_runs()), testing::IsEmpty());
  EXPECT_THAT(names(directory.old_final_runs()), testing::ElementsAre(name, name + ".log"));
  EXPECT_EQ(moves(first), std::make_pair(0UL, 1UL));
  EXPECT_THAT(names(directory.final_runs()), testing::ElementsAre(name, name + ".log"));
  // Nothing is overwritten, and another configuration stays where it is.
  sweep::Run other = first.front();
  other.config.train.epochs += 1;
  write(other, directory.old_final_runs(), "other");
  EXPECT_EQ(moves({}), std::make_pair(1UL, 0UL));
  EXPECT_THAT(names(directory.old_final_runs()),
              testing::ElementsAre(name, name + "-2", name + "-2.log", name + ".log"));
  EXPECT_EQ(moves(first), std::make_pair(0UL, 0UL));
  EXPECT_EQ(io::read_file(directory.old_final_runs() / (name + ".log")), "other");
}

TEST_F(SweepDirectoryTest, FindsFinalRunsInUse) {
  const Plan plan = files_.plan(kLoss + grid_ + "[final]\nseeds = [1]\n");
  const std::vector<sweep::Run> runs = plan.final_runs({0});
  SweepDirectory directory(out());
  train::RunDirectory run(directory.final_runs() / runs.front().name);
  EXPECT_FALSE(directory.unplanned_in_use({}));
  run.open(runs.front().config);
  EXPECT_TRUE(directory.unplanned_in_use({}));
  EXPECT_FALSE(directory.unplanned_in_use(runs));
}

TEST_F(SweepDirectoryTest, RemembersItsState) {
  SweepDirectory directory(out());
  EXPECT_EQ(directory.state().threads, 0);
  directory.open(files_.plan(kLoss));
  directory.save({2, 0, {{"a", {{"judged", 1}, {"stopped_after", 0}}}}});
  EXPECT_EQ(directory.state().threads, 2);
  EXPECT_EQ(directory.state().asked_threads, 0);
  EXPECT_EQ(directory.state().decisions["a"]["judged"], 1);
  directory.save({2, 3, nlohmann::ordered_json::object()});
  EXPECT_EQ(directory.state().asked_threads, 3);
  io::write_file_atomically(out() / "state.json", "{");
  EXPECT_THAT(error_of<std::runtime_error>([&] { directory.state(); }),
              HasSubstr("damaged state of a sweep"));
}

}  // namespace
}  // namespace decorr::sweep
