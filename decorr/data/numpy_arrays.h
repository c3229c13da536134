#pragma once

#include "decorr/data/dataset.h"

#include <filesystem>
#include <string>

namespace decorr::data {

/// Reads the part `split` (`train` or `test`) of a dataset in NumPy arrays: `place` is an .npz file
/// with the arrays train_images, train_labels, test_images and test_labels (or x_train, y_train,
/// x_test and y_test), or a folder with each as an .npy file.
///
/// Images are uint8: [N, H, W], [N, H, W, C] with C 1 or 3, or [N, C, H, W]; a last axis of 1 or 3
/// is taken as the channels. Labels are of any integer type, [N] or [N, 1]; the classes are 0 to
/// the highest label of both parts, and named by their numbers.
///
/// Throws `std::runtime_error` naming the array for what is missing, damaged or of another type or
/// shape, for images and labels that are not equally many, and for labels that are negative or
/// above 65535.
Dataset read_numpy(const std::filesystem::path& place, const std::string& split);

/// Why no such dataset can be read from `place`; empty if all arrays may be there.
std::string numpy_obstacle(const std::filesystem::path& place);

}  // namespace decorr::data
