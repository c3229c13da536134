#pragma once

#include "decorr/data/fetch/events.h"
#include "decorr/data/fetch/source.h"

#include <torch/arg.h>

#include <filesystem>

namespace decorr::data {

/// When a download gives up.
struct DownloadOptions {
  /// Seconds to wait for a connection, >= 1.
  TORCH_ARG(std::int64_t, connect_timeout) = 30;
  /// A connection slower than 1 kB/s for so many seconds is given up, >= 1.
  TORCH_ARG(std::int64_t, stall_timeout) = 60;
  /// Further tries after a failure that may pass, >= 0.
  TORCH_ARG(std::int64_t, retries) = 3;
  /// Seconds before the first further try; each next one waits twice as long.
  TORCH_ARG(double, backoff) = 1.0;
};

/// Throws `std::invalid_argument` for an option out of its range.
void check_options(const DownloadOptions& options);

/// Downloads `file` into `folder` under its name and returns its path.
///
/// What an earlier call left unfinished (see PartFile) is gone on with by asking for the rest
/// alone; if the server has another file by now, or cannot send a part, the download starts over.
/// Each try asks the file's URLs in turn; one that answers with an error that stays (404, say) or a
/// wrong file is not asked again. A file whose length or SHA-256 sum is wrong is removed, once
/// without an error if it was put together from two downloads. A file that is there already with
/// the right sum is not downloaded.
///
/// Throws `std::invalid_argument` for an option out of its range, BadContent if only wrong files
/// came, FetchStopped, else `std::runtime_error`; after the last two the bytes so far stay for the
/// next call.
std::filesystem::path download(const RemoteFile& file, const std::filesystem::path& folder,
                               const DownloadOptions& options, const FetchEvents& events);

}  // namespace decorr::data
