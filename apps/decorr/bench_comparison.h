#pragma once

#include "decorr/train/config.h"

#include "apps/decorr/bench_training.h"
#include <cstdint>
#include <string>
#include <vector>

namespace decorr::bench {

/// The steps of one form of a network: seconds of each, in all and by phase.
struct Samples {
  std::vector<double> total, passes, optimizer, update;
  double products = 0;      ///< operations of linalg's products in a step, on average
  double bytes = 0;         ///< bytes that these move, alike
  std::int64_t memory = 0;  ///< bytes of tensors at one time

  /// Adds step `index` of a cycle of `cycle` steps, from one update of R to the next.
  void add(const TimedStep& step, int index, int cycle) {
    const auto count = [&](std::vector<double>& values, double seconds) {
      if (index == 0) values.push_back(0);
      values.back() += seconds / cycle;
    };
    count(total, step.seconds());
    count(passes, step.passes);
    count(optimizer, step.optimizer);
    count(update, step.update);
  }
};

/// One network in one precision, plain and decorrelated.
struct Comparison {
  std::string model, precision;
  std::int64_t batch;
  int steps;     ///< timed ones of each form
  double flops;  ///< of the plain step
  Samples plain, decorrelated;
  std::int64_t decorrelation_bytes = 0;  ///< R and the decorrelated rows of each layer
};

/// The training of network `model` as network_config() and set_precision() make it.
train::Config configuration(const std::string& model, const std::string& precision,
                            std::int64_t scale);

/// Times at least `steps` steps of both forms of a network in turn, whole cycles from one update of
/// R to the next. Throws `std::runtime_error` if a loss is not finite or an update is skipped.
Comparison compare(const std::string& model, const std::string& precision, std::int64_t scale,
                   int steps);

}  // namespace decorr::bench
