#pragma once

#include <string>
#include <string_view>

namespace decorr::io {

/// `text` as a field of comma-separated values after RFC 4180: in quotes, with quotes in it
/// doubled, if it has a comma, a quote or the end of a line; else as it is.
std::string csv_field(std::string_view text);

}  // namespace decorr::io
