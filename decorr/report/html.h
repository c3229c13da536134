#pragma once

#include "decorr/core/statistics.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

// Writing HTML. Internal to report/: not installed.
namespace decorr::report {

/// `text` with `&`, `<`, `>` and quotes as entities: safe in text and in quoted attributes.
std::string escape(std::string_view text);

/// JSON text that is safe inside a `<script>` element: `<`, `>` and `&` as escapes of JSON.
std::string escape_json(std::string_view json);

/// `text` with each `{{name}}` replaced by its value, which is taken as it is, markers in it
/// included. Throws `std::invalid_argument` for a name that has none.
std::string fill(std::string_view text, const std::map<std::string, std::string>& values);

/// A cell of a table.
struct Cell {
  std::string html;      ///< escaped
  std::string sort;      ///< what it is sorted by; empty: last
  bool numeric = false;  ///< aligned to the right, sorted as a number
};

/// A cell with `text`, escaped and sorted by itself.
Cell text_cell(const std::string& text);

/// A cell for what is not known.
Cell nothing_cell();

/// A cell with a percentage of a fraction, `mean ± half`; `half` may be NaN.
Cell percent_cell(double mean, double half);

/// A cell with seconds or another positive number, `mean ± half`, to three significant digits.
Cell number_cell(double mean, double half);

/// `value` with three significant digits and no exponent for what a reader meets here: `0.0123`,
/// `4.56`, `789`, `12340`.
std::string significant(double value);

/// A row of a table in HTML.
std::string row(const std::vector<Cell>& cells);

/// The head of a table in HTML: column titles, escaped here.
std::string head(const std::vector<std::string>& titles);

}  // namespace decorr::report
