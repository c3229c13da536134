#pragma once

#include "decorr/data/fetch/events.h"

#include <fmt/format.h>

#include "tests/data/support.h"
#include <string>
#include <vector>

// What the tests of fetching share.
namespace decorr::data::testing {

/// A member of a tar archive.
struct TarMember {
  std::string name;
  std::string content;
  char type = '0';  // '0' file, '5' folder, '1' hard link, '2' symbolic link
  std::string target = {};
  std::uint64_t declared = 0;  // length in the header, if not that of the content
};

/// A tar archive in the ustar format.
inline std::string tar(const std::vector<TarMember>& members) {
  std::string archive;
  for (const TarMember& member : members) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) {
      header.replace(at, text.size(), text);
    };
    const std::uint64_t size = member.declared != 0 ? member.declared : member.content.size();
    put(0, member.name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", size));
    put(136, "00000000000");
    put(148, "        ");  // the checksum counts as blanks
    header[156] = member.type;
    put(157, member.target);
    put(257, "ustar");
    put(263, "00");
    unsigned sum = 0;
    for (const char byte : header) sum += static_cast<unsigned char>(byte);
    put(148, fmt::format("{:06o}", sum) + '\0');
    archive += header + member.content;
    archive.resize((archive.size() + 511) / 512 * 512, '\0');
  }
  return archive + std::string(1024, '\0');
}

/// Names of all files and folders below `folder`, sorted.
inline std::vector<std::string> names_below(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    names.push_back(entry.path().lexically_relative(folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

/// Events that ask to stop from the `count`th progress on.
inline FetchEvents stop_after(int count) {
  auto left = std::make_shared<int>(count);
  FetchEvents events;
  events.on_progress = [left](const std::string&, std::uint64_t, std::uint64_t) { --*left; };
  events.should_stop = [left] { return *left <= 0; };
  return events;
}

}  // namespace decorr::data::testing
