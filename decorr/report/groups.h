#pragma once

#include "decorr/report/run.h"

#include <string>
#include <vector>

namespace decorr::report {

/// Runs that repeat one experiment.
struct Group {
  std::string name;
  std::vector<Run> runs;  ///< by seed

  /// Value of a setting that all runs of the group share; the distinct ones joined by ` | ` if they
  /// do not; empty if it has no effect in any.
  std::string setting(const std::string& key) const;

  /// Whether no layer is decorrelated: what others are compared with.
  bool is_plain() const;

  /// Epochs of the run that has the most.
  std::size_t epochs() const;

  /// Runs that diverged.
  std::size_t diverged() const;

  /// Runs that are going on, were interrupted or killed.
  std::size_t unfinished() const;
};

/// Groups and what a reader should know about how they came to be.
struct Grouping {
  std::vector<Group> groups;       ///< in the order in which their first runs were given
  std::vector<std::string> notes;  ///< about runs that are left out, and mixed groups
};

/// Whether runs that differ in `key` alone repeat one experiment: the seed, and what has no
/// influence on results (`train.threads`, `train.keep`, `train.checkpoint_every`, `data.root`,
/// `data.prefetch`, `train.eval_batch_size`).
bool is_incidental(const std::string& key);

/// Puts runs together that differ in incidental settings only, or, if `keys` are given, those that
/// agree in these. `train.epochs` and `train.early_stopping` only say how far a run goes, and are
/// incidental too unless its learning rate follows the length of the run.
///
/// Of runs with the same settings and the same seed the longest is kept (the first of several) and
/// the others are named in a note: they are no independent repetitions. Throws
/// `std::invalid_argument` for a key that no run has.
Grouping group_runs(std::vector<Run> runs, const std::vector<std::string>& keys = {});

/// The keys in which `groups` differ, without incidental ones, by name.
std::vector<std::string> differing_keys(const std::vector<Group>& groups);

}  // namespace decorr::report
