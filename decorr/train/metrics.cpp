#include "decorr/train/metrics.h"

#include "decorr/core/check.h"
#include "decorr/io/atomic_file.h"

#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

namespace decorr::train {
namespace {

std::string lines_of(const std::vector<nlohmann::ordered_json>& rows) {
  std::string text;
  for (const auto& row : rows) text += row.dump() + "\n";
  return text;
}

template <typename Number>
Number number_in(const nlohmann::ordered_json& row, const char* key, Number otherwise) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<Number>() : otherwise;
}

}  // namespace

std::vector<nlohmann::ordered_json> MetricsLog::rows() const {
  std::vector<nlohmann::ordered_json> result;
  if (!std::filesystem::exists(path_)) return result;
  std::istringstream stream(io::read_file(path_));
  std::size_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    auto row = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool cut_off = stream.eof();  // no newline at the end
    if (cut_off) break;
    check_runtime(row.is_object(), "damaged row, {}:{}, delete that line", path_.string(), number);
    result.push_back(std::move(row));
  }
  return result;
}

void MetricsLog::truncate(std::size_t count) const {
  std::vector<nlohmann::ordered_json> kept = rows();
  if (kept.size() > count) kept.resize(count);
  io::write_file_atomically(path_, lines_of(kept));
}

// A row an epoch: rewriting the small file whole keeps every reader's view complete.
void MetricsLog::append(const nlohmann::ordered_json& row) const {
  std::vector<nlohmann::ordered_json> all = rows();
  all.push_back(row);
  io::write_file_atomically(path_, lines_of(all));
}

std::vector<double> epoch_seconds(const std::vector<nlohmann::ordered_json>& rows) {
  std::vector<double> result;
  std::int64_t start = 0;  // the step with which the epoch before ended
  for (const auto& row : rows) {
    double seconds = number_in(row, "train_seconds", std::numeric_limits<double>::quiet_NaN());
    const auto end = number_in<std::int64_t>(row, "step", start);
    const auto resumed = number_in<std::int64_t>(row, "resumed_at_step", start);
    if (resumed > start && resumed < end)
      seconds *= static_cast<double>(end - start) / static_cast<double>(end - resumed);
    result.push_back(seconds);
    start = end;
  }
  return result;
}

}  // namespace decorr::train
