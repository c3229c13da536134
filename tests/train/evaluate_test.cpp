#include "decorr/train/evaluate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/cloneable.h>

#include <memory>

namespace decorr::train {
namespace {

// The output for class k is `scale` times pixel k of the image.
class PixelsImpl : public torch::nn::Cloneable<PixelsImpl>, public nn::Model {
 public:
  PixelsImpl() { reset(); }
  void reset() override { scale_ = register_parameter("scale", at::ones({1})); }
  at::Tensor forward(const at::Tensor& input) override { return input.flatten(1) * scale_; }
  std::shared_ptr<nn::Model> with_decorrelation(const nn::DecorrelationPlan&) const override {
    return std::make_shared<PixelsImpl>();
  }

 private:
  at::Tensor scale_;
};

// Image i has falling pixels 255, 254, … and class i, so that class i has the rank i + 1.
Score score(std::int64_t classes, std::int64_t images) {
  data::Dataset dataset;
  dataset.images = (255 - at::arange(classes)).to(at::kByte).view({1, 1, 1, classes});
  dataset.images = dataset.images.repeat({images, 1, 1, 1});
  dataset.labels = at::arange(images);
  dataset.classes.resize(static_cast<std::size_t>(classes));
  data::Loader loader(dataset, data::LoaderOptions().batch_size(3).shuffle(false));
  PixelsImpl model;
  return evaluate(model, loader, learning::Loss("cross-entropy"));
}

TEST(Evaluate, CountsTheFiveLargestOutputsOfManyClasses) {
  const Score many = score(100, 8);
  EXPECT_EQ(many.count, 8);
  EXPECT_EQ(many.correct, 1);
  ASSERT_TRUE(many.correct5);
  EXPECT_EQ(*many.correct5, 5);
  EXPECT_DOUBLE_EQ(many.top5(), 5.0 / 8);
}

TEST(Evaluate, LeavesThemOutForFewClasses) {
  const Score few = score(99, 8);
  EXPECT_EQ(few.correct, 1);
  EXPECT_FALSE(few.correct5);
}

}  // namespace
}  // namespace decorr::train
