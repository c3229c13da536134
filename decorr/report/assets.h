#pragma once

#include <string_view>

// Files that are built into the library. Internal to report/: not installed.
namespace decorr::report {

std::string_view page_html();      ///< template with markers `{{name}}`
std::string_view page_css();       ///< style of the page
std::string_view charts_js();      ///< what draws the charts
std::string_view page_js();        ///< what unpacks plotly.js and serves the controls
std::string_view plotly_base64();  ///< plotly.js, compressed by gzip, in base64
std::string_view figures_py();     ///< what draws the figures with matplotlib

}  // namespace decorr::report
