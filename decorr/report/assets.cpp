#include "decorr/report/assets.h"

#include <cstddef>

// Each file lies between two symbols that assets.S defines.
#define DECORR_ASSET(name)                                                             \
  extern "C" __attribute__((visibility("hidden"))) const char decorr_##name##_begin[]; \
  extern "C" __attribute__((visibility("hidden"))) const char decorr_##name##_end[];   \
  std::string_view decorr::report::name() {                                            \
    return {decorr_##name##_begin,                                                     \
            static_cast<std::size_t>(decorr_##name##_end - decorr_##name##_begin)};    \
  }

DECORR_ASSET(page_html)
DECORR_ASSET(page_css)
DECORR_ASSET(charts_js)
DECORR_ASSET(page_js)
DECORR_ASSET(plotly_base64)
DECORR_ASSET(figures_py)
