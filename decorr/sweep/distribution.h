#pragma once

#include "decorr/core/random.h"
#include "decorr/train/config_document.h"

#include <cstdint>
#include <string>
#include <vector>

// What a random search draws from. Internal to sweep/: not installed.
namespace decorr::sweep {

/// Values of a key with their probabilities.
struct Distribution {
  std::string kind;                  ///< `uniform`, `log_uniform`, `int_uniform` or `choice`
  double low = 0;                    ///< least value, but for `choice`
  double high = 0;                   ///< greatest value, but for `choice`
  std::vector<train::Node> choices;  ///< of `choice`, equally likely

  /// The draw number `position` of `stream`. Numbers of `log_uniform` are rounded to four and those
  /// of `uniform` to six significant digits, so that they can be read and written.
  train::Node draw(const RandomStream& stream, std::uint64_t position) const;

  /// In TOML: `{ log_uniform = [1e-05, 0.01] }`.
  std::string text() const;
};

/// The distribution that `node` describes, for the key `name`. Throws ConfigError.
Distribution read_distribution(const std::string& name, const train::Node& node);

}  // namespace decorr::sweep
