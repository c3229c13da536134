#pragma once

#include "decorr/report/report.h"

#include <filesystem>
#include <vector>

namespace decorr::report {

/// Figures for papers in one format.
struct FigureFolder {
  std::filesystem::path path;  ///< made if need be
  const char* format;          ///< `png` or `svg`
};

/// Draws test accuracy by epoch and by training seconds, the losses, and the correlation energy of
/// each layer with matplotlib, and writes them into each of `folders` as `accuracy_by_epoch`,
/// `accuracy_by_seconds`, `loss` and `energy` with the ending of the format.
///
/// Runs `/usr/bin/python3`, directly and not through a shell. With the same matplotlib the same
/// report gives the same bytes. Throws `std::runtime_error` if Python or matplotlib is missing or a
/// file cannot be written; figures that were there before then stay.
void write_figures(const Report& report, const std::vector<FigureFolder>& folders);

}  // namespace decorr::report
