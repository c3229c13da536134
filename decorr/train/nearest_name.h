#pragma once

#include <string>
#include <vector>

namespace decorr::train {

/// Smallest number of insertions, deletions, replacements and swaps of neighbouring characters that
/// turn `a` into `b` (optimal string alignment); upper and lower case, `-` and `_` count as equal.
std::size_t edit_distance(const std::string& a, const std::string& b);

/// The first of `names` with the smallest distance to `name`; empty if there are none.
std::string nearest_name(const std::string& name, const std::vector<std::string>& names);

/// Whether `name` may be a slip of the pen for `other`: at most one edit in three characters.
bool resembles(const std::string& name, const std::string& other);

}  // namespace decorr::train
