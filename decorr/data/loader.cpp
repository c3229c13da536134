#include "decorr/data/loader.h"

#include "decorr/core/check.h"
#include "decorr/core/random.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace decorr::data {
namespace {

// The dataset with rows that can be addressed directly, once it is known to be usable.
Dataset prepare(Dataset dataset) {
  dataset.validate();
  check_argument(dataset.size() > 0, "[Loader] dataset '{}' must have at least one image, got 0",
                 dataset.name);
  dataset.images = dataset.images.contiguous();
  dataset.labels = dataset.labels.contiguous();
  return dataset;
}

}  // namespace

Loader::Loader(Dataset dataset, const LoaderOptions& options)
    : dataset_(prepare(std::move(dataset))),
      options_(options),
      transform_(dataset_.images.size(1), dataset_.images.size(2), dataset_.images.size(3),
                 options.normalization(), options.augment(), options.seed()) {
  check_argument(options.batch_size() >= 1, "[Loader] batch_size must be at least 1, got {}",
                 options.batch_size());
  check_argument(options.prefetch() >= 1, "[Loader] prefetch must be at least 1, got {}",
                 options.prefetch());
  check_argument(options.dtype() == at::kFloat || options.dtype() == at::kDouble,
                 "[Loader] dtype must be float32 or float64, got {}",
                 c10::toString(options.dtype()));
  check_argument(!options.drop_last() || options.batch_size() <= dataset_.size(),
                 "[Loader] batch_size must be at most {}, the images of '{}', with drop_last, got "
                 "{}: there would be no batch",
                 dataset_.size(), dataset_.name, options.batch_size());
}

std::int64_t Loader::batches() const {
  const std::int64_t full = dataset_.size() / options_.batch_size();
  const bool partial = dataset_.size() % options_.batch_size() != 0;
  return partial && !options_.drop_last() ? full + 1 : full;
}

void Loader::start(std::int64_t epoch, std::int64_t first_batch) {
  check_argument(epoch >= 0, "[Loader] epoch must be at least 0, got {}", epoch);
  check_argument(first_batch >= 0 && first_batch <= batches(),
                 "[Loader] first_batch must be in [0, {}], got {}", batches(), first_batch);
  prefetcher_.reset();
  std::vector<std::int64_t> order;
  if (options_.shuffle()) {
    order = RandomStream(options_.seed(), "shuffle")
                .at(static_cast<std::uint64_t>(epoch))
                .permutation(dataset_.size());
  } else {
    order.resize(static_cast<std::size_t>(dataset_.size()));
    std::iota(order.begin(), order.end(), std::int64_t{0});
  }
  prefetcher_ =
      std::make_unique<Prefetcher>(first_batch, batches(), options_.prefetch(),
                                   [this, epoch, order = std::move(order)](std::int64_t index) {
                                     return make(order, epoch, index);
                                   });
}

bool Loader::next(Batch& batch) {
  check_argument(prefetcher_ != nullptr, "[Loader] call start(epoch) before next()");
  return prefetcher_->next(batch);
}

Batch Loader::make(const std::vector<std::int64_t>& order, std::int64_t epoch,
                   std::int64_t index) const {
  const std::int64_t first = index * options_.batch_size();
  const std::int64_t count = std::min(options_.batch_size(), dataset_.size() - first);
  const std::vector<std::int64_t> sizes{count, dataset_.images.size(1), transform_.output_height(),
                                        transform_.output_width()};
  Batch batch{at::empty(sizes, options_.dtype()), at::empty({count}, at::kLong), index};

  const std::int64_t pixels = dataset_.images.numel() / dataset_.size();
  const std::int64_t outputs = batch.input.numel() / count;
  const std::uint8_t* images = dataset_.images.data_ptr<std::uint8_t>();
  const std::int64_t* labels = dataset_.labels.data_ptr<std::int64_t>();
  std::int64_t* target = batch.target.data_ptr<std::int64_t>();
  const auto write = [&](auto* input) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t row = order[static_cast<std::size_t>(first + i)];
      transform_.write(images + row * pixels, epoch, row, input + i * outputs);
      target[i] = labels[row];
    }
  };
  if (options_.dtype() == at::kFloat) {
    write(batch.input.data_ptr<float>());
  } else {
    write(batch.input.data_ptr<double>());
  }
  return batch;
}

}  // namespace decorr::data
