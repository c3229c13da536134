#include "decorr/train/data_preset.h"

namespace decorr::train {

std::vector<std::string> datasets_with_preset() { return {"cifar10", "cifar100", "tiny-imagenet"}; }

void apply_published_preset(DataConfig& data) {
  data.flip = true;
  data.normalize = true;
  if (data.name == "tiny-imagenet") {
    data.crop_size = 56;
    return;
  }
  data.crop_padding = 4;
  data.mean = {0.4914, 0.4822, 0.4465};
  data.std = {0.2023, 0.1994, 0.2010};
}

}  // namespace decorr::train
