#pragma once

#include "decorr/report/groups.h"

#include <string>
#include <vector>

namespace decorr::report {

/// What a reader must know before comparing `groups`: runs that are not finished or diverged, fewer
/// epochs than others, different data sets, seconds that are partly estimated or were taken with
/// different numbers of threads. One sentence each; none if all is well.
std::vector<std::string> notes(const std::vector<Group>& groups);

}  // namespace decorr::report
