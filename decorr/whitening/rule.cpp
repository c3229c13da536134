#include "decorr/whitening/rule.h"

#include "decorr/core/check.h"
#include "decorr/whitening/options.h"
#include "decorr/whitening/rules.h"

#include <algorithm>
#include <functional>

namespace decorr::whitening {
namespace {

struct Entry {
  const char* name;
  std::function<std::shared_ptr<const Rule>()> make;
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {{"norm-preserving", make_norm_preserving},
                                          {"copi", make_copi},
                                          {"standardize", make_standardize},
                                          {"none", [] { return nullptr; }}};
  return list;
}

}  // namespace

std::vector<std::string> methods() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.emplace_back(entry.name);
  return names;
}

std::shared_ptr<const Rule> make_rule(const std::string& method) {
  for (const Entry& entry : entries())
    if (method == entry.name) return entry.make();
  check_argument(false, "[Decorrelator] method must be one of {}, got \"{}\"",
                 fmt::join(methods(), ", "), method);
  return nullptr;
}

}  // namespace decorr::whitening
