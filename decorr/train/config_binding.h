#pragma once

#include "decorr/train/config.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// The one description of the configuration's keys, from which it is read, written and listed.
// Internal to train/: not installed.
namespace decorr::train {

/// The numbers that a key may have, an interval of finite ones.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;   ///< `low` itself is not allowed
  bool high_open = false;  ///< `high` itself is not allowed

  static Range at_least(double low) { return {low}; }
  static Range between(double low, double high) { return {low, high}; }
  /// (0, ∞): a rate.
  static Range positive() { return {0, std::numeric_limits<double>::infinity(), true}; }
  /// [0, 1): a decay.
  static Range decay() { return {0, 1, false, true}; }
  /// (0, 1]: a share.
  static Range share() { return {0, 1, true}; }

  /// Whether `value` is finite and inside.
  bool contains(double value) const;

  /// In words: `at least 1`, `greater than 0`, `in [0, 1)`.
  std::string text() const;
};

/// "The key has an effect only if the key `selector`, a string or a boolean, has one of `values`."
struct Condition {
  std::string selector;
  std::vector<std::string> values;

  /// The condition in TOML: `optimizer.type = "adam"`, values joined by `or`.
  std::string text() const;
};

/// A key of the configuration and the variable that holds its value.
class Binding {
 public:
  using Target = std::variant<bool*, std::int64_t*, double*, std::string*,
                              std::vector<std::int64_t>*, std::vector<double>*>;

  /// The key with the full name `key` (`optimizer.lr`) for `variable`; `meaning` is what it means,
  /// with its unit.
  Binding(std::string key, Target variable, std::string meaning)
      : name(std::move(key)), target(variable), doc(std::move(meaning)) {}

  /// The same with a range of its numbers.
  Binding within(Range numbers) const;
  /// The same with the strings that are allowed.
  Binding among(std::vector<std::string> strings) const;
  /// The same with a test of its string, which throws `std::invalid_argument` for one that it does
  /// not accept.
  Binding accepting(std::function<void(const std::string&)> test) const;
  /// The same with an effect only when all of `needs` hold.
  Binding when(std::vector<Condition> needs) const;
  /// The same, but to be given wherever its conditions hold, for want of a useful default.
  Binding needed(bool is = true) const;

  /// The part of the name behind the table: `lr`.
  std::string leaf() const;

  /// The type in words, as errors and listings name it: `integer`, `list of integers`.
  std::string type() const;

  /// The value in TOML syntax; numbers with the fewest digits that read back as the same number.
  std::string value() const;

  std::string name;
  Target target;
  std::string doc;
  Range range;                                      ///< of numbers, and of each number in a list
  std::vector<std::string> choices;                 ///< of strings; empty: any string
  std::function<void(const std::string&)> accepts;  ///< of strings; empty: any string
  std::vector<Condition> conditions;
  bool required = false;
};

/// Every key but those of `[[decorrelation.layers]]`, bound to `config`, in the order of a listing.
std::vector<Binding> bindings(Config& config);

/// The keys of `table` that set `options`.
std::vector<Binding> decorrelator_bindings(whitening::DecorrelatorOptions& options,
                                           const std::string& table);

/// The keys of `table` that set `schedule`, which counts `unit` (`steps`); they have an effect
/// under `conditions`. Unless `total_required`, `total` 0 is allowed and stands for the whole run.
std::vector<Binding> schedule_bindings(Schedule& schedule, const std::string& table,
                                       const std::string& unit, bool total_required,
                                       const std::vector<Condition>& conditions);

/// The methods of decorrelation that do anything: all but `none`.
std::vector<std::string> decorrelating_methods();

/// The value of a string or boolean (`true`, `false`) by its full name, for conditions.
using Selected = std::function<std::vector<std::string>(const std::string& selector)>;

/// The first condition that none of the values in `selected` fulfils, or null.
const Condition* unmet(const Binding& binding, const Selected& selected);

/// The values that selectors have in `config`: for those of decorrelation the general one and those
/// of all its layers, since a general key also serves the layers that change the selector.
Selected anywhere(const Config& config);

/// The same for a key beside `settings`: those it holds, and anywhere() for the rest.
Selected beside(const LayerDecorrelation& layer, const Config& config);

/// `text` in TOML, in double quotes.
std::string quoted(const std::string& text);

/// `value` in TOML.
std::string in_toml(const Setting& value);

}  // namespace decorr::train
