#pragma once

#include "decorr/io/atomic_file.h"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace decorr::io {

/// Tensors by name. The order of the names makes the bytes of a file reproducible.
using NamedTensors = std::map<std::string, at::Tensor>;

/// Free text that a safetensors file carries beside its tensors.
using Metadata = std::map<std::string, std::string>;

/// Writes a safetensors file (https://github.com/huggingface/safetensors), atomically.
///
/// The file is: the header's length (8 bytes, little endian), a JSON header padded with spaces to
/// a multiple of 8 bytes, the tensors' elements, row-major and little endian. Wide element types
/// come first, then by name, so that every tensor is aligned to its element size. The bytes depend
/// on the arguments alone.
///
/// Tensors have any shape (0-d and empty included), strides and device, and type float64, float32,
/// float16, bfloat16, int64, int32, int16, int8, uint8 or bool. Throws `std::invalid_argument`
/// naming the tensor that cannot be stored, `std::runtime_error` as write_file_atomically() does.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata = {});

/// Hands the bytes of that file to `append` instead, a piece at a time.
void append_safetensors(const NamedTensors& tensors, const Metadata& metadata,
                        const AppendBytes& append);

/// Reads a safetensors file: contiguous CPU tensors that own their memory. `metadata`, if given,
/// is replaced by the file's.
///
/// Nothing in the file is trusted: `std::runtime_error` names the file and, where there is one, the
/// tensor, if the header is cut off, larger than 100 MB or not JSON, if a name occurs twice, a type
/// is unknown, metadata are not strings, a size does not follow from shape and type, or the tensors
/// do not fill the rest of the file without gap or overlap.
NamedTensors read_safetensors(const std::filesystem::path& path, Metadata* metadata = nullptr);

/// The same from memory; errors name `name` as the file.
NamedTensors parse_safetensors(std::string_view bytes, const std::string& name,
                               Metadata* metadata = nullptr);

}  // namespace decorr::io
