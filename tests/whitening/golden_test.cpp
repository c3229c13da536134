// Numbers computed by the authors' public code; see tests/golden/README.md.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/whitening/support.h"
#include <fstream>
#include <vector>

namespace decorr::whitening {
namespace {

at::Tensor matrix_of(const nlohmann::json& rows) {
  std::vector<at::Tensor> tensors;
  for (const auto& row : rows)
    tensors.push_back(at::tensor(row.get<std::vector<double>>(), kFloat64));
  return at::stack(tensors);
}

TEST(Golden, FirstDenseUpdateEqualsTheAuthorsCode) {
  std::ifstream file(DECORR_GOLDEN_DIR "/first_updates.json");
  ASSERT_TRUE(file.is_open());
  const nlohmann::json golden = nlohmann::json::parse(file).at("dense_first_update");

  DecorrelatorOptions options = DecorrelatorOptions::preset("published");
  options.lr = golden.at("eta");
  const at::Tensor x = matrix_of(golden.at("x"));
  // 10 of 20 rows: ⌊0.45·20⌋ + 1.
  options.sample_fraction = 0.45;
  ASSERT_EQ(golden.at("sample_rows"), 10);

  Decorrelator decorrelator = make_decorrelator(x.size(1), options);
  const at::Tensor u = decorrelator->forward(x);
  EXPECT_LE(max_error(u, matrix_of(golden.at("u_first"))), 1e-10);
  ASSERT_EQ(decorrelator->update().outcome, UpdateReport::Outcome::kApplied);
  EXPECT_LE(max_error(decorrelator->matrix(), matrix_of(golden.at("R_after"))), 1e-10);
  const at::Tensor mean =
      at::tensor(golden.at("running_mean_after").get<std::vector<double>>(), kFloat64);
  EXPECT_LE(max_error(decorrelator->running_mean(), mean), 1e-10);
}

}  // namespace
}  // namespace decorr::whitening
