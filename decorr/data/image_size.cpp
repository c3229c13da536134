#include "decorr/data/image_size.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace decorr::data {

at::Tensor resize_and_crop(const at::Tensor& image, std::int64_t size) {
  check_argument(size >= 1, "[resize_and_crop] size must be at least 1, got {}", size);
  check_argument(image.scalar_type() == at::kByte && image.dim() == 3 && image.numel() > 0,
                 "[resize_and_crop] image must be uint8 [C, H, W], got {} {}",
                 c10::toString(image.scalar_type()), image.sizes().vec());
  const std::int64_t shorter = std::min(image.size(1), image.size(2));
  at::Tensor scaled = image;
  if (shorter != size) {
    const std::int64_t height = image.size(1) * size / shorter;
    const std::int64_t width = image.size(2) * size / shorter;
    const at::Tensor batch = image.unsqueeze(0).to(at::kFloat);
    const std::vector<std::int64_t> sizes{height, width};
    scaled = at::_upsample_bilinear2d_aa(batch, at::OptionalIntArrayRef(sizes),
                                         /*align_corners=*/false, c10::nullopt)
                 .squeeze(0)
                 .round_()
                 .clamp_(0, 255)
                 .to(at::kByte);
  }
  return scaled.narrow(1, (scaled.size(1) - size) / 2, size)
      .narrow(2, (scaled.size(2) - size) / 2, size)
      .contiguous();
}

}  // namespace decorr::data
