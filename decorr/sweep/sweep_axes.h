#pragma once

#include "decorr/sweep/sweep_file.h"

#include <string>
#include <vector>

// The parts of a sweep file that name keys of the configuration. Internal to sweep/: not installed.
namespace decorr::sweep {

/// The settings in `table`, whose keys may be written `"optimizer.lr"` or `optimizer.lr`. Throws
/// ConfigError for a key that is unknown, given twice, or not for a sweep to set.
Settings read_settings(const train::Node& table);

/// The axes in `table`, `[grid]` or `[random]` as `method` says. Throws ConfigError.
std::vector<Axis> read_axes(const train::Node& table, const std::string& method);

/// Throws ConfigError if a key is set in more than one of the places that end up in the same run.
void check_clashes(const SweepFile& file);

/// Throws ConfigError unless `node` is a table; `name` is what the error calls it.
void check_table(const train::Node& node, const std::string& name);

/// Throws ConfigError for the first key of `table` that is not in `known`. Full names in the error
/// begin with `prefix` (`sweep.`).
void check_keys(const train::Node& table, const std::string& prefix,
                const std::vector<std::string>& known);

}  // namespace decorr::sweep
