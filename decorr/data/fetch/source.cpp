#include "decorr/data/fetch/source.h"

#include "decorr/core/check.h"
#include "decorr/data/cifar_files.h"
#include "decorr/data/fetch/checksum.h"

#include <algorithm>
#include <cctype>

namespace decorr::data {
namespace {

// The four files of MNIST and its relatives, at each of the folders `places`.
FetchSource mnist_format(const std::string& name, const std::vector<std::string>& places,
                         std::vector<RemoteFile> files) {
  FetchSource source;
  source.name = name;
  for (RemoteFile& file : files) {
    for (const std::string& place : places) file.urls.push_back(place + file.name);
    source.required.push_back({file.name, file.bytes});
    source.disk_bytes += file.bytes;
  }
  source.files = std::move(files);
  return source;
}

// `train_bytes` and `test_bytes` are the lengths of each of the files.
FetchSource cifar_source(const CifarFiles& files, std::uint64_t archive_bytes,
                         const std::string& sha256, std::uint64_t train_bytes,
                         std::uint64_t test_bytes) {
  FetchSource source;
  source.name = files.name;
  source.files = {{files.archive,
                   {"https://www.cs.toronto.edu/~kriz/" + files.archive},
                   archive_bytes,
                   sha256}};
  source.unpack = true;
  source.top_folder = files.unpacked;
  source.disk_bytes = 185'000'000;
  for (const std::string& name : files.train) source.required.push_back({name, train_bytes});
  for (const std::string& name : files.test) source.required.push_back({name, test_bytes});
  return source;
}

std::vector<FetchSource> make_fetch_sources() {
  std::vector<FetchSource> sources;
  sources.push_back(
      mnist_format("mnist",
                   {"https://storage.googleapis.com/cvdf-datasets/mnist/",
                    "https://ossci-datasets.s3.amazonaws.com/mnist/"},
                   {{"train-images-idx3-ubyte.gz",
                     {},
                     9912422,
                     "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
                    {"train-labels-idx1-ubyte.gz",
                     {},
                     28881,
                     "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
                    {"t10k-images-idx3-ubyte.gz",
                     {},
                     1648877,
                     "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
                    {"t10k-labels-idx1-ubyte.gz",
                     {},
                     4542,
                     "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}}));
  sources.push_back(
      mnist_format("fashion-mnist", {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
                   {{"train-images-idx3-ubyte.gz",
                     {},
                     26421880,
                     "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
                    {"train-labels-idx1-ubyte.gz",
                     {},
                     29515,
                     "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
                    {"t10k-images-idx3-ubyte.gz",
                     {},
                     4422102,
                     "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
                    {"t10k-labels-idx1-ubyte.gz",
                     {},
                     5148,
                     "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}}));
  sources.push_back(cifar_source(cifar10_files(), 170052171,
                                 "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                                 30730000, 30730000));
  sources.back().on_npm = true;
  sources.push_back(cifar_source(cifar100_files(), 168513733,
                                 "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                                 153700000, 30740000));
  FetchSource tiny;
  tiny.name = "tiny-imagenet";
  tiny.files = {{"tiny-imagenet-200.zip",
                 {"http://cs231n.stanford.edu/tiny-imagenet-200.zip"},
                 248100043,
                 "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"}};
  tiny.unpack = true;
  tiny.top_folder = "tiny-imagenet-200";
  tiny.disk_bytes = 600'000'000;  // 110000 small files, each rounded up to blocks of the disk
  tiny.required = {
      {"wnids.txt"}, {"words.txt"}, {"train/"}, {"val/images/"}, {"val/val_annotations.txt"}};
  sources.push_back(std::move(tiny));
  return sources;
}

}  // namespace

const std::vector<FetchSource>& fetch_sources() {
  static const std::vector<FetchSource> sources = make_fetch_sources();
  return sources;
}

const FetchSource& fetch_source(const std::string& name) {
  std::vector<std::string> names;
  for (const FetchSource& source : fetch_sources()) {
    if (source.name == name) return source;
    names.push_back(source.name);
  }
  throw std::invalid_argument(
      fmt::format("[fetch] data set must be one of {}, got '{}'", fmt::join(names, ", "), name));
}

FetchSource with_mirror(FetchSource source, const std::string& url, std::string sha256) {
  const std::size_t count = source.files.size();
  const auto begins = [&](const char* scheme) { return url.rfind(scheme, 0) == 0; };
  check_argument(url.empty() || begins("http://") || begins("https://"),
                 "[fetch] URL must begin with http:// or https://, got '{}'", url);
  const bool folder = !url.empty() && url.back() == '/';
  check_argument(url.empty() || folder || count == 1,
                 "[fetch] URL must be a folder's, ending in /, as {} has {} files, got '{}'",
                 source.name, count, url);
  if (!url.empty())
    for (RemoteFile& file : source.files) file.urls = {folder ? url + file.name : url};
  if (sha256.empty()) return source;
  std::transform(sha256.begin(), sha256.end(), sha256.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  check_argument(is_sha256(sha256), "[fetch] SHA-256 sum must be 64 hexadecimal digits, got '{}'",
                 sha256);
  check_argument(count == 1, "[fetch] one SHA-256 sum is not enough for {}, which has {} files",
                 source.name, count);
  source.files[0].sha256 = std::move(sha256);
  source.files[0].bytes = 0;
  source.disk_bytes = 0;
  for (RequiredFile& file : source.required) file.bytes = 0;
  return source;
}

}  // namespace decorr::data
