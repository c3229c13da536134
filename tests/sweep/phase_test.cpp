#include "decorr/sweep/phase.h"

#include "decorr/io/atomic_file.h"
#include "decorr/sweep/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sweep/support.h"
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace decorr::sweep {
namespace {

using testing::HasSubstr;
using testing_support::error_of;
using testing_support::kLoss;
using testing_support::SweepFolder;

// Phases of one run, in the place of which a shell script does what the test says.
class PhaseTest : public testing::Test {
 protected:
  // `script` has the run directory in $folder.
  PhaseEnd run(const std::string& script, StopRule* rule = nullptr) {
    const std::filesystem::path program = files_.folder() / "program";
    io::write_file_atomically(program, "#!/bin/sh\nfolder=\"$3\"\n" + script);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    phase_ = std::make_unique<Phase>(files_.folder() / "runs", plan_.runs, plan_.file.metric, 1,
                                     program);
    if (rule != nullptr) phase_->use(*rule, [] {});
    train::Progress progress(stdout, /*quiet=*/true);
    return phase_->run(
        progress, [] { return false; }, [] {});
  }

  // A rule by which a run with these epochs has no hope.
  StopRule rule() const {
    StopRule result({"median", 1, 1}, plan_.file.metric);
    const sweep::Run& planned = plan_.runs.front();
    result.judge("other", planned.group, {1, 1}, planned.config.train.epochs);
    return result;
  }

  const RunResult& result() const { return phase_->results().front(); }

  SweepFolder files_;
  Plan plan_ = files_.plan(kLoss);
  std::unique_ptr<Phase> phase_;
};

// Writes two epochs at once.
const std::string kEpochs = R"(
printf '{"epoch":1,"train_loss":9}\n{"epoch":2,"train_loss":9}\n' > "$folder/rows"
mv "$folder/rows" "$folder/metrics.jsonl"
)";

// A run that does not hear the signal any more.
std::string ends_as(const std::string& status, int code) {
  return "trap '' TERM\n" + kEpochs +
         fmt::format(R"(printf '{{"status":"{}","epochs":2}}' > "$folder/summary.json"
exit {}
)",
                     status, code);
}

TEST_F(PhaseTest, ARunThatIsStoppedMayEndByTheSignal) {
  StopRule hopeless = rule();
  // As a run does that does not listen yet, or not any more.
  EXPECT_EQ(run(kEpochs + "exec sleep 60\n", &hopeless), PhaseEnd::kDone) << phase_->failure();
  EXPECT_EQ(result().state, RunState::kStopped);
  EXPECT_EQ(result().epochs, 1);
}

TEST_F(PhaseTest, ASignalFromElsewhereIsAFailure) {
  EXPECT_EQ(run("kill -TERM $$\n"), PhaseEnd::kFailed);
  EXPECT_THAT(phase_->failure(), HasSubstr("it was killed by signal 15"));
}

TEST_F(PhaseTest, ARunThatDivergedIsListedAsSuch) {
  StopRule hopeless = rule();
  EXPECT_EQ(run(ends_as("diverged", 3), &hopeless), PhaseEnd::kDone);
  EXPECT_EQ(result().state, RunState::kDiverged);
}

// Or decisions would depend on how often the sweep looks.
TEST_F(PhaseTest, ARunThatEndedBeforeItWasSeenIsJudged) {
  StopRule hopeless = rule();
  EXPECT_EQ(run(ends_as("completed", 0), &hopeless), PhaseEnd::kDone);
  EXPECT_EQ(result().state, RunState::kStopped);
  EXPECT_EQ(hopeless.stopped_after(plan_.runs.front().name), 1);
}

TEST(Sweep, SaysThatItsProgramCannotBeRun) {
  const SweepFolder files;
  const std::string path = files.folder() / "s.toml";
  io::write_file_atomically(path, "config = \"base.toml\"\n" + kLoss);
  SweepOptions options;
  options.out = files.folder() / "out";
  options.program = files.folder() / "decorr";
  EXPECT_THAT(error_of<std::invalid_argument>([&] { Sweep(path, options); }),
              HasSubstr("program must be one that can be run, got " + options.program.string()));
}

}  // namespace
}  // namespace decorr::sweep
