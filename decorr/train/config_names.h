#pragma once

#include "decorr/train/config_document.h"

#include <map>
#include <string>

// Which names a configuration knows. Internal to train/: not installed.
namespace decorr::train {

/// Full name of the list of settings by layer, and table of the keys in its elements.
inline const char* const kLayersKey = "decorrelation.layers";

/// The values in a document by the full name of their key.
using GivenKeys = std::map<std::string, const Node*>;

/// The values in `document`, which the result points into. Throws ConfigError for the first key or
/// table that is not known; those in the elements of kLayersKey are not looked at.
GivenKeys collect_keys(const Node& document);

/// Throws ConfigError unless `name`, from the override at `place`, is a key that can be set.
void check_override_name(const std::string& name, const std::string& place);

/// Whether `name` is the full name of a key.
bool is_key(const std::string& name);

/// Throws the ConfigError for a key that is not known, with the key that was likely meant.
[[noreturn]] void unknown_key(const std::string& name, const std::string& place);

}  // namespace decorr::train
