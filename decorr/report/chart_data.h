#pragma once

#include "decorr/report/report.h"

#include <nlohmann/json.hpp>

// What the page and the figures draw. Internal to report/: not installed.
namespace decorr::report {

/// The curves of all groups: `metrics` and `measures` (key, title), and `groups`, each with `name`,
/// `plain`, `curves` by key of a metric (`epoch`, `seconds`, `mean`, `error`, `half`, `count`:
/// lists over epochs), `runs` (`seed`, `seconds`, and lists by key) and `layers` (`path`, and a
/// curve by key of a measure). Measures that no run has are left out; what is not known is null.
/// Numbers have seven significant digits.
nlohmann::ordered_json chart_data(const Report& report);

}  // namespace decorr::report
