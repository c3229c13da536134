#pragma once

#include "decorr/report/groups.h"

#include <cstdint>
#include <string>

namespace decorr::report {

/// `name` without its ending that tells a seed: `-42`, `_seed42`, `-s42`, `-seed-42`, `-seed=42`,
/// `-seed` for seed 42. Empty if there is nothing but that.
std::string without_seed(const std::string& name, std::int64_t seed);

/// Gives each of `groups` a short name of its own: what the folders of its runs are called apart
/// from their seeds, if they agree and each group has another name. Settings behind the variant of
/// a sweep (`plain-optimizer.lr=0.1`) are left out if the names are still different then. Else the
/// values of the settings in which the groups differ (`feedback-alignment, none`). Words that all
/// names begin with are left out. Numbered folders (`0007`) are not names.
void name_groups(std::vector<Group>& groups);

}  // namespace decorr::report
