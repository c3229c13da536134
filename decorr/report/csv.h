#pragma once

#include "decorr/report/report.h"

#include <filesystem>
#include <string>

namespace decorr::report {

/// A row an epoch of each run: group, seed, run, epoch, step, training seconds since the start, and
/// the losses and accuracies. Fields of all these files are as in RFC 4180, lines end with a line
/// feed, numbers have as many digits as read back the same; what is not known is empty.
std::string curves_csv(const Report& report);

/// A row a group: its seeds, how many of them diverged and are not finished, and score(), each
/// quantity with its standard error and the half width of its 95 % confidence interval.
std::string final_csv(const Report& report);

/// A row a target and group: time_to_accuracy().
std::string time_to_accuracy_csv(const Report& report);

/// A row a layer and epoch of each run: what is measured of it.
std::string layers_csv(const Report& report);

/// Writes the four as `curves.csv`, `final.csv`, `time_to_accuracy.csv` and `layers.csv` into
/// `folder`, which is made if need be. Throws `std::runtime_error`.
void write_csv(const Report& report, const std::filesystem::path& folder);

}  // namespace decorr::report
