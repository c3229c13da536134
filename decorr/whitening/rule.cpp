#include "decorr/whitening/rule.h"

#include "decorr/core/check.h"
#include "decorr/whitening/rules.h"

#include <algorithm>
#include <utility>

namespace decorr::whitening {
namespace {

struct Entry {
  std::string name;
  RuleFactory make;
};

std::vector<Entry>& entries() {
  static std::vector<Entry> list = {{"norm-preserving", make_norm_preserving},
                                    {"copi", make_copi},
                                    {"dbp", make_dbp},
                                    {"relative-gradient", make_relative_gradient},
                                    {"lateral", make_lateral},
                                    {"zca", make_zca},
                                    {"pca", make_pca},
                                    {"cholesky", make_cholesky},
                                    {"newton-schulz", make_newton_schulz},
                                    {"standardize", make_standardize},
                                    {"none", [](const auto&) { return nullptr; }}};
  return list;
}

}  // namespace

std::vector<std::string> methods() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.name);
  return names;
}

void register_rule(const std::string& method, RuleFactory factory) {
  const std::vector<std::string> names = methods();
  check_argument(!method.empty(), "[register_rule] the name of a method must not be empty");
  check_argument(std::find(names.begin(), names.end(), method) == names.end(),
                 "[register_rule] there is a method \"{}\" already, choose another name", method);
  entries().push_back({method, std::move(factory)});
}

std::shared_ptr<const Rule> make_rule(const DecorrelatorOptions& options) {
  for (const Entry& entry : entries())
    if (options.method == entry.name) return entry.make(options);
  check_argument(false, "[Decorrelator] method must be one of {}, got \"{}\"",
                 fmt::join(methods(), ", "), options.method);
  return nullptr;
}

}  // namespace decorr::whitening
