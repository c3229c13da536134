#pragma once

#include "decorr/report/run.h"

#include <filesystem>
#include <string>
#include <vector>

namespace decorr::report {

/// What was found where a reader looked for runs.
struct Collection {
  std::vector<Run> runs;  ///< with one whole epoch or more, or diverged before; each folder once
  std::vector<std::string> notes;  ///< about runs that are left out
};

/// Reads the runs in `paths`: each is a run directory or a folder that holds some at any depth.
///
/// A run directory has `config.toml` and `metrics.jsonl`, or `lock` in its first epoch. One that
/// has not finished its first epoch is left out with a note, unless it diverged there. Runs come in
/// the order of `paths`, those of one folder by name. Folders inside a run and symbolic links to
/// folders are not followed. Throws `std::invalid_argument` if a path holds no run or none has an
/// epoch, and as read_run() does for a damaged run.
Collection collect(const std::vector<std::filesystem::path>& paths);

}  // namespace decorr::report
