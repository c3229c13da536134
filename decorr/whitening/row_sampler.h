#pragma once

#include "decorr/core/random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace decorr::whitening {

/// Rows picked from a layer's input.
struct Rows {
  at::Tensor x;  ///< [s, n] as they are, not centred
  /// [s, n], 1 where an entry is to be centred and 0 where it is padding that stays 0; undefined if
  /// all are to be centred.
  at::Tensor centred;
};

/// The rows that one call of a layer has, described without forming all of them.
struct RowSource {
  std::int64_t samples = 0;          ///< batch entries
  std::int64_t rows_per_sample = 1;  ///< rows that each of them has: 1, or positions of a kernel
  at::Tensor mean;                   ///< mean of the call's input, one number a channel
  /// The rows with the given indices in [0, samples · rows_per_sample), sorted.
  std::function<Rows(const std::vector<std::int64_t>& indices)> gather;
};

/// The rows of `input` [N, n], each a sample, whose mean has one number a feature.
RowSource rows_of(const at::Tensor& input);

/// Collects the rows that the next update of one layer sees, and the mean of all input.
///
/// Every row of the step has a global index: its place among all rows seen since the last update.
/// With `global` sampling a row's key is a random number addressed by (step, global index), and the
/// s rows with the smallest keys are kept: a draw without replacement that is the same however the
/// rows are split over calls, threads or processes. With `first` the first s rows of each call are,
/// or all rows of the first ⌊fN⌋ + 1 samples.
class RowSampler {
 public:
  /// `fraction` of the rows of each call, ⌊fraction·N⌋ + 1, is kept; in all at most `max_samples`
  /// (0: no bound). `random` is addressed by step.
  RowSampler(double fraction, std::int64_t max_samples, const std::string& sampling,
             RandomStream random);

  /// Adds the rows of `source`, seen in step `step`; the rows kept are copied.
  void add(const RowSource& source, std::int64_t step);

  /// Number of rows seen since clear().
  std::int64_t rows() const { return rows_; }

  /// Mean of the input of all calls, weighted by their rows. Needs rows() > 0.
  at::Tensor mean() const;

  /// The sampled rows, [s, n], in the order of their global index. Needs rows() > 0.
  Rows sample() const;

  /// Forgets everything.
  void clear();

 private:
  std::int64_t sample_size(std::int64_t samples, std::int64_t rows) const;
  std::vector<std::int64_t> choose(const RowSource& source, std::int64_t step);

  double fraction_;
  std::int64_t max_samples_;
  bool global_;
  RandomStream random_;

  std::int64_t rows_ = 0, samples_ = 0;
  at::Tensor sum_;
  std::vector<Rows> kept_;           // the rows kept of each call, in order of global index
  std::vector<std::uint64_t> keys_;  // their keys, over all calls
};

}  // namespace decorr::whitening
