#include "decorr/nn/image.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace decorr::nn {

void ImageShape::validate(const std::string& model) const {
  check_argument(std::min({channels, height, width}) >= 1,
                 "[{}] images must have at least 1 channel, row and column, got [{}, {}, {}]",
                 model, channels, height, width);
}

void ImageShape::check(const std::string& model, const at::Tensor& input) const {
  check_argument(input.dim() == 4 && input.size(0) > 0 && input.size(1) == channels &&
                     input.size(2) == height && input.size(3) == width,
                 "[{}] input must be [N, {}, {}, {}] with N > 0, got [{}]", model, channels, height,
                 width, fmt::join(input.sizes(), ", "));
}

at::Tensor in_fast_layout(const at::Tensor& images) {
  const bool last = images.device().is_cpu() && images.scalar_type() == at::kFloat;
  return last ? images.contiguous(at::MemoryFormat::ChannelsLast) : images;
}

at::Tensor image_rows(const at::Tensor& images) { return images.transpose(1, 2).flatten(2); }

}  // namespace decorr::nn
