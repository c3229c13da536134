#include "decorr/report/html.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <cmath>

namespace decorr::report {
namespace {

Cell numeric(std::string html, double value) {
  if (!std::isfinite(value)) return nothing_cell();
  return {std::move(html), fmt::format("{:.9g}", value), true};
}

}  // namespace

std::string escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string escape_json(std::string_view json) {
  std::string result;
  for (const char c : json) {
    if (c == '<' || c == '>' || c == '&')
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      result += c;
  }
  return result;
}

std::string fill(std::string_view text, const std::map<std::string, std::string>& values) {
  std::string result;
  while (true) {
    const std::size_t open = text.find("{{");
    const std::size_t close = text.find("}}", open);
    if (open == std::string_view::npos || close == std::string_view::npos)
      return result.append(text);
    const std::string name(text.substr(open + 2, close - open - 2));
    const auto found = values.find(name);
    check_argument(found != values.end(), "[fill] no value for \"{}\"", name);
    result.append(text.substr(0, open)).append(found->second);
    text.remove_prefix(close + 2);
  }
}

Cell text_cell(const std::string& text) { return {escape(text), text, false}; }

Cell nothing_cell() { return {"<span class=\"nothing\">–</span>", "", true}; }

Cell percent_cell(double mean, double half) {
  std::string text = fmt::format("{:.2f} %", 100 * mean);
  if (std::isfinite(half))
    text = fmt::format("{:.2f} <span class=\"error\">± {:.2f}</span> %", 100 * mean, 100 * half);
  return numeric(text, mean);
}

Cell number_cell(double mean, double half) {
  std::string text = significant(mean);
  if (std::isfinite(half))
    text += fmt::format(" <span class=\"error\">± {}</span>", significant(half));
  return numeric(text, mean);
}

std::string significant(double value) {
  if (!std::isfinite(value)) return "–";
  if (value == 0) return "0";
  const int digits = 2 - static_cast<int>(std::floor(std::log10(std::fabs(value))));
  return fmt::format("{:.{}f}", value, std::max(0, std::min(digits, 9)));
}

std::string row(const std::vector<Cell>& cells) {
  std::string html = "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Cell& cell = cells[i];
    html += fmt::format("<{0}{1}{2} data-sort=\"{3}\">{4}</{0}>", i == 0 ? "th" : "td",
                        i == 0 ? " scope=\"row\"" : "", cell.numeric ? " class=\"number\"" : "",
                        escape(cell.sort), cell.html);
  }
  return html + "</tr>\n";
}

std::string head(const std::vector<std::string>& titles) {
  std::string html = "<thead><tr>";
  for (const std::string& title : titles)
    html += fmt::format("<th scope=\"col\">{}</th>", escape(title));
  return html + "</tr></thead>\n";
}

}  // namespace decorr::report
