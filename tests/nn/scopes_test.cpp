#include "decorr/nn/scopes.h"

#include "decorr/nn/update.h"

#include <gtest/gtest.h>
#include <torch/nn/functional/instancenorm.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/instancenorm.h>
#include <torch/utils.h>

#include "tests/nn/support.h"

namespace decorr::nn {
namespace {

// A normalization that is registered twice, and one of each image.
class NormsImpl : public torch::nn::Module {
 public:
  NormsImpl()
      : layer_(LinearOptions(3, 3).decorrelation(every_step()(""))),
        batch_(3),
        instance_(torch::nn::InstanceNorm1dOptions(3).track_running_stats(true)) {
    register_module("layer", layer_);
    register_module("first", batch_);
    register_module("second", batch_);
    register_module("instance", instance_);
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = batch_->forward(layer_->forward(x));
    return instance_->forward(y.unsqueeze(2).expand({-1, -1, 2}) * at::tensor({1.0F, 2.0F}));
  }

 private:
  Linear layer_;
  torch::nn::BatchNorm1d batch_;
  torch::nn::InstanceNorm1d instance_;
};

TEST(NoStatistics, LeavesNoTraceAndEnds) {
  const auto model = std::make_shared<NormsImpl>();
  const at::Tensor x = normal({8, 3}, 1).to(at::kFloat);
  const auto before = state_of(*model);
  {
    const NoStatistics outer(*model);
    const NoStatistics inner(*model);
    model->forward(x);
  }
  const auto after = state_of(*model);
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i].second, after[i].second)) << before[i].first;
  EXPECT_EQ(update(*model)[0].report.reason,
            "no forward pass in training mode since the last update");

  model->forward(x);
  const auto moved = state_of(*model);
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i].first.find("running") != std::string::npos &&
        before[i].first.find("decorrelator") == std::string::npos) {
      EXPECT_FALSE(at::equal(before[i].second, moved[i].second)) << before[i].first;
    }
  EXPECT_EQ(update(*model)[0].report.outcome, whitening::UpdateReport::Outcome::kApplied);
}

TEST(EvaluationMode, GivesEveryModuleItsModeBack) {
  const auto model = std::make_shared<NormsImpl>();
  model->children()[1]->eval();
  {
    const EvaluationMode evaluation(*model);
    for (const auto& module : model->modules()) EXPECT_FALSE(module->is_training());
  }
  EXPECT_TRUE(model->is_training());
  EXPECT_TRUE(model->children()[0]->is_training());
  EXPECT_FALSE(model->children()[1]->is_training());
}

TEST(ReplayedDraws, DrawTheSame) {
  const auto model = std::make_shared<NormsImpl>();
  torch::manual_seed(3);
  ReplayedDraws draws(*model);
  const at::Tensor first = at::rand({5});
  const at::Tensor second = at::rand({5});
  draws.rewind();
  EXPECT_TRUE(at::equal(at::rand({5}), first));
  EXPECT_TRUE(at::equal(at::rand({5}), second));
}

}  // namespace
}  // namespace decorr::nn
