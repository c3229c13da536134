#include "decorr/data/fetch/source.h"

#include "decorr/data/fetch/checksum.h"

#include "tests/data/fetch/support.h"
#include <set>

namespace decorr::data {
namespace {

using testing::expect_error;

TEST(FetchSource, AreWellFormed) {
  std::set<std::string> names, sums;
  for (const FetchSource& source : fetch_sources()) {
    EXPECT_TRUE(names.insert(source.name).second) << source.name;
    EXPECT_EQ(source.files.size(), source.unpack ? 1U : 4U) << source.name;
    EXPECT_FALSE(source.required.empty()) << source.name;
    EXPECT_GT(source.disk_bytes, 0U) << source.name;
    for (const RemoteFile& file : source.files) {
      EXPECT_TRUE(is_sha256(file.sha256)) << file.name;
      EXPECT_TRUE(sums.insert(file.sha256).second) << file.name;
      EXPECT_GT(file.bytes, 0U) << file.name;
      EXPECT_FALSE(file.urls.empty()) << file.name;
      for (const std::string& url : file.urls) {
        EXPECT_EQ(url.rfind("http", 0), 0U) << url;
        EXPECT_EQ(url.substr(url.rfind('/') + 1), file.name);
      }
    }
  }
  EXPECT_THAT(names, ::testing::ElementsAre("cifar10", "cifar100", "fashion-mnist", "mnist",
                                            "tiny-imagenet"));
}

TEST(FetchSource, UnknownNamesAreRefused) {
  EXPECT_EQ(fetch_source("cifar100").files[0].name, "cifar-100-binary.tar.gz");
  expect_error<std::invalid_argument>([] { fetch_source("cifar"); },
                                      {"mnist, fashion-mnist, cifar10", "'cifar'"});
}

TEST(FetchSource, ComeFromAMirror) {
  const FetchSource folder = with_mirror(fetch_source("mnist"), "https://a.example/b/", "");
  for (const RemoteFile& file : folder.files)
    EXPECT_THAT(file.urls, ::testing::ElementsAre("https://a.example/b/" + file.name));
  EXPECT_EQ(folder.files[0].sha256, fetch_source("mnist").files[0].sha256);
  EXPECT_EQ(folder.files[0].bytes, fetch_source("mnist").files[0].bytes);

  const FetchSource file = with_mirror(fetch_source("cifar10"), "http://a.example/b.tgz", "");
  EXPECT_THAT(file.files[0].urls, ::testing::ElementsAre("http://a.example/b.tgz"));
  EXPECT_EQ(with_mirror(fetch_source("cifar10"), "", "").files[0].urls,
            fetch_source("cifar10").files[0].urls);
}

TEST(FetchSource, AnotherFileHasAnotherSumAndNoKnownLength) {
  const std::string sum(64, 'A');
  const FetchSource source = with_mirror(fetch_source("cifar10"), "", sum);
  EXPECT_EQ(source.files[0].sha256, std::string(64, 'a'));
  EXPECT_EQ(source.files[0].bytes, 0U);
  EXPECT_EQ(source.disk_bytes, 0U);
  for (const RequiredFile& file : source.required) EXPECT_EQ(file.bytes, 0U);
  EXPECT_EQ(source.required.size(), 6U);
}

TEST(FetchSource, BadMirrorsAreRefused) {
  const FetchSource& mnist = fetch_source("mnist");
  const FetchSource& cifar = fetch_source("cifar10");
  for (const char* url : {"ftp://a.example/", "file:///etc/passwd", "a.example/", " http://a/"})
    expect_error<std::invalid_argument>([&] { with_mirror(cifar, url, ""); }, {"http://", url});
  expect_error<std::invalid_argument>([&] { with_mirror(mnist, "http://a.example/b", ""); },
                                      {"ending in /", "mnist has 4 files", "'http://a.example/b'"});
  expect_error<std::invalid_argument>([&] { with_mirror(cifar, "", std::string(63, '0')); },
                                      {"64 hexadecimal digits"});
  expect_error<std::invalid_argument>([&] { with_mirror(mnist, "", std::string(64, '0')); },
                                      {"mnist", "4 files"});
}

}  // namespace
}  // namespace decorr::data
