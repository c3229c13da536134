#pragma once

#include "decorr/data/dataset.h"
#include "decorr/data/gaussian.h"
#include "decorr/data/image_tree.h"

#include <string>
#include <vector>

namespace decorr::data {

/// Where the samples of a dataset come from.
enum class Origin {
  kPublished,  ///< files that are distributed
  kOwn,        ///< files of the user's own
  kComputed,   ///< none: they are made
};

/// What is known of a dataset before it is read.
struct DatasetInfo {
  std::string name;                  ///< what load() is asked for, e.g. `fashion-mnist`
  std::string description;           ///< one line for a listing
  std::vector<std::string> classes;  ///< name of each class; empty: known when it is read
  std::string how_to_get;            ///< what to do when its files are not there
  Origin origin = Origin::kPublished;
};

/// Settings of load(); each serves the datasets that it concerns and is ignored by the others.
struct LoadOptions {
  std::string root;          ///< folder of the files, see find()
  ImageOptions images;       ///< datasets of image files
  GaussianOptions gaussian;  ///< `gaussian`
};

/// Every dataset that load() knows, in the order of a listing.
std::vector<DatasetInfo> known_datasets();

/// The folder that holds the files of dataset `name`, each as it is or gzip-compressed (`.gz`), or
/// its official archive; for `numpy` that or an .npz file; empty for one that is computed.
///
/// With `root` only that folder is considered. Without, in this order: $DECORR_DATA/<name> and
/// $DECORR_DATA itself if that variable is set, else ~/.cache/decorr/<name>; then where the
/// system's package puts it. In each place a folder of the name that the dataset's own archive
/// unpacks to (cifar10: `cifar-10-batches-bin`) counts as well. The first folder with all files is
/// taken. Datasets of the user's own are only where `root` says.
///
/// Throws `std::invalid_argument` for an unknown name, or a root for a dataset that has no files,
/// `std::runtime_error` listing every place looked in when there is none.
std::string find(const std::string& name, const std::string& root = "");

/// Reads the part `split` (`train` or `test`) of dataset `name` from find(name, root).
///
/// Throws `std::invalid_argument` for an unknown name, split or setting, `std::runtime_error` when
/// files are missing, damaged or do not fit together.
Dataset load(const std::string& name, const std::string& split, const std::string& root = "");

/// The same with more settings.
Dataset load(const std::string& name, const std::string& split, const LoadOptions& options);

}  // namespace decorr::data
