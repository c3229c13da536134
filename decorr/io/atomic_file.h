#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace decorr::io {

/// Ending of the names that write_file_atomically() gives to files in the making.
inline constexpr std::string_view kTemporarySuffix = ".decorr-tmp";

/// Takes the next bytes of a file; they are written before it returns.
using AppendBytes = std::function<void(std::string_view bytes)>;

/// Writes `contents` to `path` so that at every moment, a crash or a power cut included, `path`
/// holds either its old contents or all of the new ones.
///
/// The bytes go to a temporary name in the same folder, are flushed to the disk and renamed; then
/// the folder is flushed. A symbolic link at `path` is replaced by the file. Throws
/// `std::runtime_error` with the path, the reason and how to mend it; the old file then stays and
/// the temporary is removed. (Only if the last step, flushing the folder, fails is the new file in
/// place already.)
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);

/// The same for contents in pieces: `produce` is called once and hands them over, in order. What
/// `produce` throws passes through, and the old file stays.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const AppendBytes& append)>& produce);

/// Removes from `folder` (not from folders inside it) the temporaries that processes killed while
/// writing left behind, and returns how many. Files that are being written are left alone, as is
/// everything not named `*.decorr-tmp`. A folder that does not exist has none. Throws
/// `std::runtime_error` if the folder cannot be read or a leftover not removed.
std::size_t remove_temporaries(const std::filesystem::path& folder);

/// All bytes of the file at `path`. Throws `std::runtime_error` with the path and the reason.
std::string read_file(const std::filesystem::path& path);

}  // namespace decorr::io
