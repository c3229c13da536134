#include "decorr/data/image_tree.h"

#include "decorr/core/check.h"
#include "decorr/data/decode_images.h"
#include "decorr/data/decoded_cache.h"

#include <algorithm>

namespace decorr::data {
namespace {

constexpr std::size_t kShown = 3;

void report_skipped(const std::vector<std::string>& skipped, const std::string& name,
                    const std::string& split) {
  if (skipped.empty()) return;
  const std::size_t shown = std::min(kShown, skipped.size());
  fmt::print(stderr, "decorr: note: skipped {} corrupt image{} of {} ({}): {}{}\n", skipped.size(),
             skipped.size() == 1 ? "" : "s", name, split,
             fmt::join(skipped.begin(), skipped.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
             skipped.size() > shown ? ", …" : "");
}

DecodedImages from_cache_or_files(const ImageTree& tree, const std::string& split,
                                  const ImageOptions& options) {
  const DecodedCache cache(tree, split, options.image_size);
  // What was skipped when the cache was made must be named again, by the error of decoding.
  if (const std::optional<DecodedImages> kept = cache.read())
    if (kept->skipped.empty() || options.skip_corrupt) return *kept;
  DecodedImages decoded = decode_images(tree, split, options);
  cache.write(decoded);
  return decoded;
}

}  // namespace

Dataset load_images(const ImageTree& tree, const std::string& split, const ImageOptions& options) {
  check_argument(options.image_size >= 0, "[data] image_size must be at least 0, got {}",
                 options.image_size);
  const DecodedImages decoded = from_cache_or_files(tree, split, options);
  report_skipped(decoded.skipped, tree.name, split);
  return {tree.name, decoded.images, decoded.labels, tree.classes};
}

}  // namespace decorr::data
