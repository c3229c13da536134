#pragma once

#include "decorr/train/config_document.h"

#include <string>

// Values of a sweep file in words. Internal to sweep/: not installed.
namespace decorr::sweep {

/// `node` in TOML, on one line.
std::string value_text(const train::Node& node);

/// `node` as names of runs have it: strings without their quotes, lists without their brackets.
std::string plain_text(const train::Node& node);

/// A name in TOML: in quotes if it has a dot.
std::string key_text(const std::string& name);

/// A name for a file or folder made of `text`: at most 150 bytes, letters, digits and `._=+,-`
/// only. Where that changes the text, a number made of the whole text follows, so that other texts
/// have other names.
std::string file_name(const std::string& text);

}  // namespace decorr::sweep
