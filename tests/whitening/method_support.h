#pragma once

#include "decorr/linalg/block_diagonal.h"
#include "decorr/whitening/decorrelator.h"

#include <ATen/ATen.h>

#include "tests/whitening/support.h"
#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace decorr::whitening {

/// The methods that take correlations away; `standardize` and `none` do not.
inline std::vector<std::string> decorrelating_methods() {
  return {"norm-preserving", "copi",         "dbp", "relative-gradient", "lateral", "zca", "pca",
          "cholesky",        "newton-schulz"};
}

/// The methods of decorrelating_methods() that whiten a running covariance.
inline std::vector<std::string> covariance_methods() {
  return {"zca", "pca", "cholesky", "newton-schulz"};
}

/// R of every block of `decorrelator`, over all groups.
inline std::vector<at::Tensor> matrices(const DecorrelatorImpl& decorrelator) {
  std::vector<at::Tensor> result;
  for (std::int64_t i = 0; i < decorrelator.layout().groups; ++i) {
    const at::Tensor group = decorrelator.group_matrix(i);
    if (group.dim() == 1) {
      result.push_back(at::diag(group));
      continue;
    }
    for (std::int64_t j = 0; j < linalg::block_count(group); ++j)
      result.push_back(linalg::block(group, j));
  }
  return result;
}

/// Relative off-diagonal energy of R·Σ·Rᵀ within the blocks of R, Σ = `covariance` [n, n]. An
/// empty list stands for R = I in one block.
inline double block_energy(const std::vector<at::Tensor>& blocks, const at::Tensor& covariance) {
  double diagonal = 0, rest = 0;
  std::int64_t begin = 0;
  const auto add = [&](const at::Tensor& c) {
    const double own = c.diagonal().square().sum().item<double>();
    diagonal += own;
    rest += c.square().sum().item<double>() - own;
  };
  for (const at::Tensor& block : blocks) {
    const at::Tensor r = block.to(at::kDouble);
    const at::Tensor part =
        covariance.narrow(0, begin, r.size(0)).narrow(1, begin, r.size(0)).to(at::kDouble);
    add(at::matmul(at::matmul(r, part), r.t()));
    begin += r.size(0);
  }
  if (blocks.empty()) add(covariance);
  return rest / diagonal;
}

/// Σ + λv̄I, what a damped rule decorrelates.
inline at::Tensor damped(const at::Tensor& covariance, double damping) {
  const double mean_variance = covariance.diagonal().mean().item<double>();
  return covariance + damping * mean_variance * at::eye(covariance.size(0), covariance.options());
}

/// `text` with everything that a test's name must not have replaced.
inline std::string test_name(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return text;
}

}  // namespace decorr::whitening
