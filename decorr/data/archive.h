#pragma once

#include <functional>
#include <map>
#include <string>

namespace decorr::data {

/// Which files of an archive are wanted, by their path in it.
using Wanted = std::function<bool(const std::string& path)>;

/// The wanted files of a tar archive, plain or gzip-compressed, in memory: contents by path. All of
/// the archive is read, so that gzip's checksum is compared. Throws `std::runtime_error` naming the
/// file when it is missing, cut off, damaged or no tar archive.
std::map<std::string, std::string> read_tar(const std::string& path, const Wanted& wanted);

/// The same for a zip archive, whose checksums of the wanted files are compared.
std::map<std::string, std::string> read_zip(const std::string& path, const Wanted& wanted);

}  // namespace decorr::data
