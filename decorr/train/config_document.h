#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// TOML as the configuration's reader sees it. Internal to train/: not installed.
namespace decorr::train {

/// A TOML value and where it was given.
struct Node {
  std::string key;    ///< name in its table; empty in a list and for the document
  std::string place;  ///< `a.toml:12` or `--set optimizer.lr=1`
  std::string type;   ///< `boolean`, `integer`, `float`, `string`, `list`, `table` or `date`
  std::variant<std::monostate, bool, std::int64_t, double, std::string> scalar;
  std::vector<Node> items;  ///< elements of a list, or a table's values in the order of the text
  bool overrides = false;   ///< was given on top of the document it stands in

  /// What an error calls it: `the string "fast"`, `the float 2.5`, `a table`.
  std::string shown() const;

  /// The value called `name` in a table, or null.
  const Node* find(const std::string& name) const;
};

/// The text of the file at `path`. Throws ConfigError if it cannot be read or is larger than any
/// configuration.
std::string read_document(const std::string& path);

/// The document `text`, as a table. Throws ConfigError with the line if it is not TOML.
Node parse_document(const std::string& text, const std::string& source_name);

/// `value` and all in it, marked as given on top of a document.
Node as_override(Node value);

/// An override `key=value`: the key, which may have dots, and the value. Throws ConfigError if
/// either is missing or the value is a broken list, table or quoted string.
std::pair<std::string, Node> parse_override(const std::string& text);

/// Puts `value` at `name` (`seed` or `section.key`) in `document`, in place of what is there. If
/// `section` is there and no table, nothing changes: whoever reads the document finds that first.
void assign(Node& document, const std::string& name, Node value);

}  // namespace decorr::train
