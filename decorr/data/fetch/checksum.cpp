#include "decorr/data/fetch/checksum.h"

#include "decorr/core/check.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <openssl/evp.h>
#include <vector>

namespace decorr::data {
namespace {

constexpr std::size_t kSumBytes = 32;
constexpr std::size_t kPiece = std::size_t{1} << 20;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    check_runtime(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1,
                  "[fetch] OpenSSL has no SHA-256; check its installation");
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;

void Sha256::update(const void* bytes, std::size_t size) {
  check_runtime(EVP_DigestUpdate(state_->context, bytes, size) == 1,
                "[fetch] OpenSSL could not compute a SHA-256 sum; check its installation");
}

std::string Sha256::hex() {
  std::array<unsigned char, kSumBytes> sum{};
  check_runtime(EVP_DigestFinal_ex(state_->context, sum.data(), nullptr) == 1,
                "[fetch] OpenSSL could not compute a SHA-256 sum; check its installation");
  return fmt::format("{:02x}", fmt::join(sum, ""));
}

bool is_sha256(const std::string& text) {
  return text.size() == 2 * kSumBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string sha256_of(const std::filesystem::path& path, const FetchEvents& events) {
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "rbe"));
  check_runtime(file != nullptr, "[fetch] cannot read {}: {}; check the path and its permissions",
                path.string(), std::strerror(errno));
  std::error_code ignored;
  const std::uintmax_t size = std::filesystem::file_size(path, ignored);
  const std::string task = "check " + path.filename().string();
  Sha256 sum;
  std::vector<char> piece(kPiece);
  std::uint64_t done = 0;
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
    sum.update(piece.data(), got);
    done += got;
    events.progress(task, done, ignored ? 0 : size);
  }
  check_runtime(std::ferror(file.get()) == 0, "[fetch] cannot read {}: {}; check the disk",
                path.string(), std::strerror(errno));
  return sum.hex();
}

}  // namespace decorr::data
