#pragma once

#include "decorr/data/dataset.h"

#include <filesystem>
#include <string>
#include <vector>

// CIFAR-10 and CIFAR-100 as they are distributed. Internal to data/: not installed.
namespace decorr::data {

/// Which of the two: names of files and archive, and of the classes.
struct CifarFiles {
  std::string name;                      ///< `cifar10` or `cifar100`
  std::string archive;                   ///< official archive of the binary version
  std::string unpacked;                  ///< folder that it unpacks to
  std::vector<std::string> train, test;  ///< files in that folder
  std::string class_names;               ///< file of the classes' names; empty: none is read
  std::vector<std::string> classes;      ///< their names where there is no such file
};

const CifarFiles& cifar10_files();
const CifarFiles& cifar100_files();

/// Why they can't be read from `folder`; empty if it has all the files or the archive.
std::string cifar_obstacle(const std::filesystem::path& folder, const CifarFiles& files);

/// Reads the part `split` from the files in `folder` or, if one of them is not there, from the
/// archive. Throws `std::runtime_error` for what is missing or damaged.
Dataset read_cifar(const std::filesystem::path& folder, const std::string& split,
                   const CifarFiles& files);

}  // namespace decorr::data
