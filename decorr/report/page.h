#pragma once

#include "decorr/report/report.h"

#include <string>

namespace decorr::report {

/// The report as one HTML file, which opens from the disk without a network: charts that answer to
/// the mouse (plotly.js, which it carries compressed), tables, settings. Equal reports give equal
/// bytes.
std::string html_page(const Report& report);

}  // namespace decorr::report
