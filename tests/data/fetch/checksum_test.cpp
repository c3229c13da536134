#include "decorr/data/fetch/checksum.h"

#include "tests/data/fetch/support.h"

namespace decorr::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

constexpr const char* kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Checksum, HasThePublishedValues) {
  Sha256 abc;
  abc.update("a", 1);
  abc.update("bc", 2);
  EXPECT_EQ(abc.hex(), kOfAbc);
  EXPECT_EQ(Sha256().hex(), kOfNothing);
}

TEST(Checksum, ReadsFiles) {
  const TemporaryFolder folder;
  testing::write_file(folder / "abc", "abc");
  testing::write_file(folder / "nothing", "");
  EXPECT_EQ(sha256_of(folder / "abc"), kOfAbc);
  EXPECT_EQ(sha256_of(folder / "nothing"), kOfNothing);
  // More than one piece is read: the sum of a million letters a is in FIPS 180-4's examples.
  testing::write_file(folder / "million", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_of(folder / "million"),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  testing::write_file(folder / "pieces", std::string(3'000'000, 'a'));
  Sha256 pieces;
  pieces.update(std::string(3'000'000, 'a').data(), 3'000'000);
  EXPECT_EQ(sha256_of(folder / "pieces"), pieces.hex());
  expect_error<std::runtime_error>([&] { sha256_of(folder / "absent"); },
                                   {folder / "absent", "check the path"});
  expect_error<std::runtime_error>([&] { sha256_of(folder.str()); }, {folder.str()});
}

TEST(Checksum, CanBeStopped) {
  const TemporaryFolder folder;
  testing::write_file(folder / "large", std::string(3'000'000, 'a'));
  EXPECT_THROW(sha256_of(folder / "large", testing::stop_after(2)), FetchStopped);
}

TEST(Checksum, KnowsASumWhenItSeesOne) {
  EXPECT_TRUE(is_sha256(kOfAbc));
  EXPECT_FALSE(is_sha256(""));
  EXPECT_FALSE(is_sha256(std::string(63, '0')));
  EXPECT_FALSE(is_sha256(std::string(63, '0') + "A"));
}

}  // namespace
}  // namespace decorr::data
