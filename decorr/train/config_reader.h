#pragma once

#include "decorr/train/config.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/config_document.h"
#include "decorr/train/config_names.h"

#include <string>

// From a TOML document to a configuration. Internal to train/: not installed.
namespace decorr::train {

/// The configuration in `document`, complete and checked. Errors that have no line of their own
/// are placed at `source_name`.
Config read_config(const Node& document, const std::string& source_name);

/// Gives the variable of `binding` the value of `node`. Throws ConfigError for a wrong type, a
/// number out of range or an unknown choice.
void read_value(const Binding& binding, const Node& node);

/// Throws ConfigError for the first key in `given`, from which `config` was read, that has no
/// effect with the chosen types, methods and schedules, and for keys that these need but lack.
void check_effects(const Config& config, const GivenKeys& given);

/// Throws ConfigError for values that are in range one by one but do not go together.
void check_combinations(const Config& config, const GivenKeys& given,
                        const std::string& source_name);

}  // namespace decorr::train
