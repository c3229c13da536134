#pragma once

#include "decorr/data/fetch/download.h"
#include "decorr/data/fetch/part_file.h"

#include <string>

namespace decorr::data {

/// How one request for a file ended.
struct Transfer {
  enum class Outcome {
    kWhole,   ///< the part has all that the server has
    kPasses,  ///< a failure that may pass: a later try may succeed
    kStays,   ///< a failure that stays
    kWrong,   ///< the server has another file
  };
  Outcome outcome;
  std::string reason;    ///< of a failure
  bool resumed = false;  ///< the part has bytes of earlier requests
};

/// Asks `url` (http or https) for the bytes of `file` that `part` lacks and appends them.
///
/// Redirects are followed. With bytes in the part the request is for the rest (Range), provided the
/// file has not changed since (If-Range); a server that answers with the whole file, or with
/// another part than asked for, makes it start over. More than `file.bytes` are not taken. Throws
/// FetchStopped, `std::runtime_error` if the disk of `folder`, where the part is, fails or is full.
Transfer transfer(const std::string& url, const RemoteFile& file, PartFile& part,
                  const std::filesystem::path& folder, const DownloadOptions& options,
                  const FetchEvents& events);

}  // namespace decorr::data
