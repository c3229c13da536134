#pragma once

#include "decorr/core/random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace decorr::whitening {

/// Collects the rows that the next update of one layer sees, and the mean of all rows.
///
/// Every row of the step has a global index: its place among all rows seen since the last update.
/// With `global` sampling a row's key is a random number addressed by (step, global index), and the
/// s rows with the smallest keys are kept: a draw without replacement that is the same however the
/// rows are split over calls, threads or processes. With `first` the first s rows of each call are.
class RowSampler {
 public:
  /// `fraction` of the rows of each call, ⌊fraction·N⌋ + 1, is kept; in all at most `max_samples`
  /// (0: no bound). `random` is addressed by step.
  RowSampler(double fraction, std::int64_t max_samples, const std::string& sampling,
             RandomStream random);

  /// Adds the rows of `input` [N, n] seen in step `step`; the rows kept are copied.
  void add(const at::Tensor& input, std::int64_t step);

  /// Number of rows seen since clear().
  std::int64_t rows() const { return rows_; }

  /// Mean of all rows seen, [n]. Needs rows() > 0.
  at::Tensor mean() const;

  /// The sampled rows, [s, n], in the order of their global index. Needs rows() > 0.
  at::Tensor sample() const;

  /// Forgets everything.
  void clear();

 private:
  std::int64_t sample_size(std::int64_t rows) const;
  std::vector<std::int64_t> choose(std::int64_t count, std::int64_t step);

  double fraction_;
  std::int64_t max_samples_;
  bool global_;
  RandomStream random_;

  std::int64_t rows_ = 0;
  at::Tensor sum_;
  std::vector<at::Tensor> kept_;     // the rows kept of each call, in order of global index
  std::vector<std::uint64_t> keys_;  // their keys, over all calls
};

}  // namespace decorr::whitening
