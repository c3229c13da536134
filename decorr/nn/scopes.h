#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

// States of a model that last until the end of a C++ scope, however that comes.
namespace decorr::nn {

/// Evaluation mode; afterwards every module has the mode it had.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& model);
  ~EvaluationMode();
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
};

/// Forward passes leave no trace, whatever the mode: no sample for a Decorrelator, no change of the
/// running statistics of batch and instance normalization.
class NoStatistics {
 public:
  explicit NoStatistics(torch::nn::Module& model);
  ~NoStatistics();
  NoStatistics(const NoStatistics&) = delete;
  NoStatistics& operator=(const NoStatistics&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Lets several passes draw the same numbers from LibTorch's default generator (dropout). Remembers
/// where the generator of the model's device stands when it is built.
class ReplayedDraws {
 public:
  explicit ReplayedDraws(const torch::nn::Module& model);

  /// Puts the generator back to where it stood.
  void rewind();

 private:
  at::Generator generator_;
  at::Tensor state_;
};

}  // namespace decorr::nn
