#pragma once

#include "decorr/report/report.h"

#include <string>

// The tables of the page, in HTML. Internal to report/: not installed.
namespace decorr::report {

/// Where each group ended: one row a group.
std::string score_table(const Report& report);

/// How long each group takes to each target: one body a target, one row a group. The best of a
/// plain group is a target for it and those that are compared with it.
std::string time_table(const Report& report);

/// The settings in which the groups differ: one row a key, one column a group. A sentence if they
/// do not differ.
std::string difference_table(const Report& report);

/// The settings that all runs share, as lines of TOML keys.
std::string common_settings(const Report& report);

/// Every run: group, seed, status, epochs and folder.
std::string run_table(const Report& report);

}  // namespace decorr::report
