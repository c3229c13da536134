#pragma once

#include "decorr/core/statistics.h"
#include "decorr/report/groups.h"

#include <string>
#include <vector>

namespace decorr::report {

/// Where a group ended, over its seeds that have an epoch. Accuracies are fractions.
struct Score {
  Estimate test_accuracy;      ///< after the last epoch of each run
  Estimate best_accuracy;      ///< on the test set, after the epoch that was selected
  bool by_validation = false;  ///< selected by the lowest validation loss; else by the test set
  Estimate train_accuracy;     ///< over the last epoch
  Estimate top5;               ///< after the last epoch; NaN where it was not measured
  Estimate epoch_seconds;      ///< training seconds an epoch
  Estimate seconds;            ///< training seconds of the whole run
};

/// The score of `group`.
///
/// The epoch behind `best_accuracy` is that of the lowest validation loss if every run held out
/// validation images. Else it is that of the highest test accuracy, which flatters: it was picked
/// by what it is judged by.
Score score(const Group& group);

/// The epoch that `score` selects in `run`, which has one or more.
const Epoch& best_epoch(const Run& run, bool by_validation);

}  // namespace decorr::report
