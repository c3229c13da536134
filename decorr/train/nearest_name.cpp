#include "decorr/train/nearest_name.h"

#include <algorithm>
#include <cctype>

namespace decorr::train {
namespace {

// Longer ones are no slips of the pen, and the distance costs the product of the lengths.
constexpr std::size_t kMaxLength = 200;

std::string normalised(const std::string& text) {
  std::string result = text.substr(0, kMaxLength);
  for (char& c : result)
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

std::size_t edit_distance(const std::string& a, const std::string& b) {
  const std::string x = normalised(a), y = normalised(b);
  std::vector<std::vector<std::size_t>> cost(x.size() + 1, std::vector<std::size_t>(y.size() + 1));
  for (std::size_t i = 0; i <= x.size(); ++i) {
    for (std::size_t j = 0; j <= y.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (x[i - 1] == y[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[x.size()][y.size()];
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& names) {
  const auto nearest =
      std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
        return edit_distance(name, a) < edit_distance(name, b);
      });
  return nearest == names.end() ? "" : *nearest;
}

bool resembles(const std::string& name, const std::string& other) {
  return edit_distance(name, other) * 3 <= std::max(name.size(), other.size());
}

}  // namespace decorr::train
