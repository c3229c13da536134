#include "decorr/sweep/distribution.h"

#include "decorr/sweep/value_text.h"
#include "decorr/train/config.h"
#include "decorr/train/config_binding.h"
#include "decorr/train/nearest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace decorr::sweep {
namespace {

using train::ConfigError;
using train::Node;

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> names{"uniform", "log_uniform", "int_uniform", "choice"};
  return names;
}

double number(const Node& node) {
  if (node.type == "integer") return static_cast<double>(std::get<std::int64_t>(node.scalar));
  return std::get<double>(node.scalar);
}

void read_bounds(const std::string& name, const Node& node, Distribution& result) {
  const bool whole = result.kind == "int_uniform";
  const auto fits = [&](const Node& item) {
    return item.type == "integer" || (!whole && item.type == "float");
  };
  const std::string mend =
      fmt::format("write {} = {}", result.kind, whole ? "[1, 10], whole numbers" : "[0.001, 0.1]");
  if (node.type != "list" || node.items.size() != 2 || !fits(node.items[0]) || !fits(node.items[1]))
    throw ConfigError(fmt::format("{} of {} must be a list of two {}", result.kind,
                                  train::quoted(name), whole ? "integers" : "numbers"),
                      node.place, mend);
  result.low = number(node.items[0]);
  result.high = number(node.items[1]);
  if (!std::isfinite(result.low) || !std::isfinite(result.high) || result.low >= result.high)
    throw ConfigError(fmt::format("{} of {} must go from a number to a greater one, got {}",
                                  result.kind, train::quoted(name), value_text(node)),
                      node.place, mend);
  constexpr double kWholeInDouble = 9e15;
  if (whole && std::max(-result.low, result.high) > kWholeInDouble)
    throw ConfigError(fmt::format("int_uniform of {} goes beyond 9e15", train::quoted(name)),
                      node.place, mend);
  if (result.kind == "log_uniform" && result.low <= 0)
    throw ConfigError(fmt::format("log_uniform of {} must start above 0, got {}",
                                  train::quoted(name), result.low),
                      node.place, mend);
}

// `value` with so many significant digits, kept inside.
double rounded(double value, int digits, const Distribution& within) {
  const double result = std::stod(fmt::format("{:.{}g}", value, digits));
  return std::clamp(result, within.low, within.high);
}

}  // namespace

train::Node Distribution::draw(const RandomStream& stream, std::uint64_t position) const {
  constexpr int kLogDigits = 4, kDigits = 6;
  Node result;
  if (kind == "choice") {
    result = choices[stream.below(choices.size(), position)];
  } else if (kind == "int_uniform") {
    const auto count = static_cast<std::uint64_t>(high - low) + 1;
    result.type = "integer";
    result.scalar =
        static_cast<std::int64_t>(low) + static_cast<std::int64_t>(stream.below(count, position));
  } else {
    const double share = stream.uniform(position);
    result.type = "float";
    result.scalar =
        kind == "log_uniform"
            ? rounded(std::exp(std::log(low) + share * (std::log(high) - std::log(low))),
                      kLogDigits, *this)
            : rounded(low + share * (high - low), kDigits, *this);
  }
  return result;
}

std::string Distribution::text() const {
  std::vector<std::string> items;
  for (const Node& choice : choices) items.push_back(value_text(choice));
  if (kind == "int_uniform")
    items = {fmt::format("{:.0f}", low), fmt::format("{:.0f}", high)};
  else if (kind != "choice")
    items = {train::in_toml(low), train::in_toml(high)};
  return fmt::format("{{ {} = [{}] }}", kind, fmt::join(items, ", "));
}

Distribution read_distribution(const std::string& name, const Node& node) {
  if (node.type != "table" || node.items.size() != 1)
    throw ConfigError(
        fmt::format("{} must be one distribution, got {}", train::quoted(name), node.shown()),
        node.place, "write { log_uniform = [0.001, 0.1] }, or uniform, int_uniform or choice");
  const Node& given = node.items.front();
  Distribution result;
  result.kind = given.key;
  if (std::count(kinds().begin(), kinds().end(), given.key) == 0) {
    const std::string nearest = train::nearest_name(given.key, kinds());
    throw ConfigError(
        fmt::format("unknown distribution {} of {}", train::quoted(given.key), train::quoted(name)),
        given.place,
        train::resembles(given.key, nearest)
            ? fmt::format("did you mean {}?", train::quoted(nearest))
            : fmt::format("use one of {}", fmt::join(kinds(), " ")));
  }
  if (result.kind != "choice") {
    read_bounds(name, given, result);
    return result;
  }
  if (given.type != "list" || given.items.empty())
    throw ConfigError(
        fmt::format("choice of {} must be a list of values, got {}", train::quoted(name),
                    given.type == "list" ? "an empty one" : given.shown()),
        given.place, "write { choice = [0.1, 0.2] }");
  result.choices = given.items;
  return result;
}

}  // namespace decorr::sweep
