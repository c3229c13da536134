#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

namespace decorr::data {

/// Reads an array of integers in NumPy's format (.npy, header versions 1 to 3), from memory.
///
/// Any integer type, byte order and memory order is read. Returns a contiguous tensor: uint8 for
/// arrays of uint8, bool for those of bool, else int64. Throws `std::runtime_error` naming `name`
/// as the array when it is not NumPy's format, cut off or too long, when it holds Python objects,
/// records, floats or another type, or a number that int64 cannot hold.
///
/// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
at::Tensor parse_npy(std::string_view bytes, const std::string& name);

}  // namespace decorr::data
