#pragma once

#include "decorr/data/image_tree.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

// Internal to data/: not installed.
namespace decorr::data {

/// A part of an ImageTree, decoded.
struct DecodedImages {
  at::Tensor images;                 ///< uint8 [N, C, H, W]
  at::Tensor labels;                 ///< int64 [N]
  std::vector<std::string> skipped;  ///< paths of the files left out, relative to the root
};

/// Decodes the part `split` of `tree` on all processors, with a line of progress on a terminal when
/// it takes long. Throws as load_images() does.
DecodedImages decode_images(const ImageTree& tree, const std::string& split,
                            const ImageOptions& options);

}  // namespace decorr::data
