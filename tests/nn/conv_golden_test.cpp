// Numbers computed by the authors' public code; see tests/golden/README.md.
#include "decorr/nn/conv.h"
#include "decorr/nn/update.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/nn/support.h"
#include <fstream>
#include <vector>

namespace decorr::nn {
namespace {

at::Tensor tensor_of(const nlohmann::json& value) {
  if (value.is_number()) return at::scalar_tensor(value.get<double>(), kFloat64);
  std::vector<at::Tensor> entries;
  for (const auto& entry : value) entries.push_back(tensor_of(entry));
  return at::stack(entries);
}

TEST(Conv2dGolden, TwoUpdatesEqualTheAuthorsCode) {
  std::ifstream file(DECORR_GOLDEN_DIR "/first_updates.json");
  ASSERT_TRUE(file.is_open());
  const nlohmann::json golden = nlohmann::json::parse(file).at("conv_first_update");

  whitening::DecorrelatorOptions decorrelation =
      whitening::DecorrelatorOptions::preset("published");
  decorrelation.lr = golden.at("eta");
  const at::Tensor x = tensor_of(golden.at("x"));
  // One of nine images: ⌊0.1·9⌋ + 1.
  ASSERT_EQ(golden.at("sample_images"), 1);
  const auto numbers = [&](const char* key) {
    return golden.at(key).get<std::vector<std::int64_t>>();
  };
  const std::vector<std::int64_t> kernel = numbers("kernel");
  const std::int64_t features = x.size(1) * kernel[0] * kernel[1];
  // With W = I and no bias the output is u.
  Conv2d layer(Conv2dOptions(torch::nn::Conv2dOptions(x.size(1), features, kernel)
                                 .stride(numbers("stride"))
                                 .padding(torch::ExpandingArray<2>(numbers("padding")))
                                 .bias(false))
                   .decorrelation(decorrelation));
  layer->to(at::kDouble);
  {
    const at::NoGradGuard no_grad;
    layer->weight.copy_(at::eye(features, kFloat64).view(layer->weight.sizes()));
  }

  layer(x);
  ASSERT_EQ(update(*layer).front().report.outcome, whitening::UpdateReport::Outcome::kApplied);
  EXPECT_LE(max_error(layer->decorrelator()->matrix(), tensor_of(golden.at("R_after"))), 1e-10);
  const at::Tensor u = layer(x);
  EXPECT_LE(max_error(u[0], tensor_of(golden.at("u_second_image0"))), 1e-10);
  ASSERT_EQ(update(*layer).front().report.outcome, whitening::UpdateReport::Outcome::kApplied);
  EXPECT_LE(max_error(layer->decorrelator()->matrix(), tensor_of(golden.at("R_after_second"))),
            1e-10);
}

}  // namespace
}  // namespace decorr::nn
